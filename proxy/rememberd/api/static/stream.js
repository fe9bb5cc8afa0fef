// An answer as it comes: the text pieces of a chat completion, streamed or whole.
import { ApiError } from "./api.js";

export async function* pieces(response) {
  if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
    const body = await response.json();
    yield body.choices?.[0]?.message?.content ?? "";
    return;
  }
  for await (const data of events(response.body)) {
    if (data === "[DONE]") return;
    const body = JSON.parse(data);
    if (body.error) throw new ApiError(502, body.error.code, body.error.message);
    const text = body.choices?.[0]?.delta?.content;
    if (text) yield text;
  }
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { done, value = "" } = await reader.read();
    const parts = (held + value).split(/\r?\n\r?\n/);
    held = done ? "" : parts.pop();
    for (const part of parts) {
      const data = part
        .split(/\r?\n/)
        .filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5).trimStart());
      if (data.length) yield data.join("\n");
    }
    if (done) return;
  }
}
