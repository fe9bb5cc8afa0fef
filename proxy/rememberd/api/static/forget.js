// Deleting with a way back: the row goes at once, the request a few seconds later. What was deleted can then never be
// had again, so nothing may be kept for an undo after it.
import { memoryPath, request } from "./api.js";
import { failed, toast } from "./toast.js";

const waiting = new Map();

export function forgetSoon(memory, { restore, gone }) {
  const words = memory.text.length > 60 ? `${memory.text.slice(0, 57)}…` : memory.text;
  const commit = async (options = {}) => {
    if (!waiting.delete(memory.id)) return;
    close();
    try {
      await request(memoryPath(memory.id), { method: "DELETE", ...options });
      gone();
    } catch (error) {
      restore();
      failed(error);
    }
  };
  const undo = () => waiting.delete(memory.id) && restore();
  const close = toast(`Deleted: ${words}`, { action: "Undo", onaction: undo, ended: commit });
  waiting.set(memory.id, commit);
}

export const isGoing = (id) => waiting.has(id);

// Before anything that recalls, and when the page goes away: deleted means deleted.
export const forgetNow = (options) => Promise.all([...waiting.values()].map((commit) => commit(options)));

window.addEventListener("pagehide", () => forgetNow({ keepalive: true }));
document.addEventListener("visibilitychange", () => document.hidden && forgetNow({ keepalive: true }));
