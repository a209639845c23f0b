"""The application of applications/flask.mjs: it asks the test for each part of its page."""
import sys
from urllib.request import urlopen

from flask import Flask, Response, redirect, request, send_from_directory

parts, directory, port = sys.argv[1:]
app = Flask(__name__)


def page():
    with urlopen(parts) as tokens:
        for token in tokens:
            yield token


@app.get("/")
def index():
    return Response(page(), mimetype="text/html")


@app.get("/style.css")
def style():
    return send_from_directory(directory, "style.css")


@app.post("/login")
def login():
    response = redirect("/me", 303)
    response.set_cookie("user", request.form["user"], httponly=True)
    return response


@app.get("/me")
def me():
    return f"Hello {request.cookies.get('user')}"


@app.get("/old")
def old():
    return redirect(request.host_url + "me")


@app.post("/upload")
def upload():
    return str(len(request.get_data()))


app.run(host="127.0.0.1", port=int(port), threaded=True)
