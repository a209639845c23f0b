const MOST_SHOWN = 100;
const byId = (id) => document.getElementById(id);

/** The chat room: an EventSource receives messages, a POST sends one. */
export function startChat(gateway) {
  byId("name").value = `guest-${Math.floor(Math.random() * 900 + 100)}`;
  showEmpty();
  listen(gateway);
  byId("chat").addEventListener("submit", async (submit) => {
    submit.preventDefault();
    const message = { name: byId("name").value, text: byId("text").value };
    byId("chat-note").textContent =
      (await send(gateway, message)) ?? "Sent, and received through the stream.";
  });
}

function listen(gateway) {
  const source = new EventSource(`${gateway}/chat/events`);
  source.addEventListener("message", (event) => show(JSON.parse(event.data)));
  source.addEventListener("presence", (event) => {
    byId("online").textContent = `${JSON.parse(event.data).online} here`;
  });
  source.addEventListener("error", () => {
    byId("online").textContent = "reconnecting";
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 2000, gateway);
  });
}

/** Sends a message; returns a text for the user if that failed. */
async function send(gateway, message) {
  try {
    const response = await fetch(`${gateway}/chat/messages`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(message),
    });
    if (!response.ok) return `Not sent: status ${response.status}.`;
    byId("text").value = "";
  } catch {
    return "Not sent: no connection.";
  }
}

function show({ name, text }) {
  const list = byId("messages");
  list.querySelector(".empty")?.remove();
  const item = document.createElement("li");
  const who = document.createElement("b");
  who.textContent = name;
  item.append(who, ` ${text}`);
  list.append(item);
  if (list.children.length > MOST_SHOWN) list.firstChild.remove();
  list.scrollTop = list.scrollHeight;
}

function showEmpty() {
  const item = document.createElement("li");
  item.className = "empty";
  item.textContent = "No messages yet.";
  byId("messages").append(item);
}
