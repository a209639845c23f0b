import { startAnswer } from "./answer.js";
import { startBurst } from "./burst.js";
import { startChat } from "./chat.js";
import { startCompletion } from "./completion.js";
import { gateway } from "./gateway.js";
import { startHeld } from "./held.js";
import { startStream } from "./stream.js";

const byId = (id) => document.getElementById(id);

startStream(gateway, startHeld());
startChat(gateway);
startBurst(gateway);
startCompletion(gateway);
startAnswer(gateway);
showCommand();
await showNginx();

function showCommand() {
  const command = `curl -N ${gateway}/stream`;
  byId("curl").textContent = command;
  byId("copy").addEventListener("click", async () => {
    byId("copy").textContent = (await copy(command)) ? "Copied" : "Selected";
    setTimeout(() => {
      byId("copy").textContent = "Copy";
    }, 1500);
  });
}

/** Copies the command. The clipboard needs a secure origin; without one, selects the command and returns false. */
async function copy(command) {
  try {
    await navigator.clipboard.writeText(command);
    return true;
  } catch {
    getSelection().selectAllChildren(byId("curl"));
    return false;
  }
}

async function showNginx() {
  const head = await fetch("/", { method: "HEAD" });
  if (!/nginx/i.test(head.headers.get("Server") ?? "")) return;
  byId("nginx").classList.remove("optional");
  byId("nginx-note").textContent = "forwards it";
}
