/** Answers of language models as their vendors' documents show them, byte for byte, with the counts that they report. */
export interface ModelAnswer {
  readonly name: string;
  readonly contentType: string;
  readonly body: string;
  readonly input: number;
  readonly output: number;
  readonly model: string;
  /** The first generated text, or the first name of a tool; undefined for an answer that comes whole. */
  readonly first: string | undefined;
}

const SSE = "text/event-stream; charset=utf-8";

const chunk = (rest: string) =>
  `data: {"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","created":1741569952,"model":"gpt-5.2-2025-12-11","service_tier":"default","system_fingerprint":"fp_44709d6fcb",${rest}}\n\n`;
const delta = (text: string, reason = "null") =>
  `"choices":[{"index":0,"delta":${text},"logprobs":null,"finish_reason":${reason}}]`;

/** The chunks of OpenAI's chat completions with `stream_options: {"include_usage": true}`. */
export const CHAT_CHUNKS: readonly string[] = [
  chunk(`${delta('{"role":"assistant","content":"","refusal":null}')},"usage":null`),
  chunk(`${delta('{"content":"Hello"}')},"usage":null`),
  chunk(`${delta('{"content":" \\"usage\\": 日本"}')},"usage":null`),
  chunk(`${delta("{}", '"stop"')},"usage":null`),
  chunk(
    `"choices":[],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}`,
  ),
  "data: [DONE]\n\n",
];

/** The same without `stream_options`: no chunk has a usage. */
export const CHAT_WITHOUT_USAGE = CHAT_CHUNKS.slice(0, -2)
  .concat("data: [DONE]\n\n")
  .join("")
  .replaceAll(',"usage":null', "");

const named = (type: string, rest: string) => `event: ${type}\ndata: {"type": "${type}"${rest}}\n\n`;

const anthropicStart = (usage: string) =>
  named(
    "message_start",
    `, "message": {"id": "msg_1nZdL29xx5MUA1yADyHTEsnR8uuvGzszyy", "type": "message", "role": "assistant", "content": [], "model": "claude-opus-4-5-20251101", "stop_reason": null, "stop_sequence": null, "usage": ${usage}}`,
  );

const response = (status: string, usage: string) =>
  `"response":{"id":"resp_67c9fdcecf488190bdd9a0409de3a1ec07b8b0ad4e5eb654","object":"response","created_at":1741290958,"status":"${status}","error":null,"incomplete_details":null,"instructions":"You are a helpful assistant.","max_output_tokens":null,"model":"gpt-5.2-2025-12-11","output":[],"parallel_tool_calls":true,"previous_response_id":null,"reasoning":{"effort":null,"summary":null},"store":true,"temperature":1.0,"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],"top_p":1.0,"truncation":"disabled","usage":${usage},"user":null,"metadata":{}}`;
const responses = (type: string, rest: string) => `event: ${type}\ndata: {"type":"${type}",${rest}}\n\n`;

const gemini = (parts: string, rest: string) =>
  `{"candidates": [{"content": {"parts": [${parts}],"role": "model"}${rest},"modelVersion": "gemini-2.5-flash","responseId": "mAitaLmkHPPlz7IPvtfUqQ4"}`;
const GEMINI_PARTS: readonly string[] = [
  gemini(
    '{"text": "**Thinking** about it","thought": true}',
    ',"index": 0}],"usageMetadata": {"promptTokenCount": 8,"totalTokenCount": 30,"promptTokensDetails": [{"modality": "TEXT","tokenCount": 8}],"thoughtsTokenCount": 22}',
  ),
  gemini(
    '{"text": "AI learns"}',
    ',"index": 0}],"usageMetadata": {"promptTokenCount": 8,"candidatesTokenCount": 4,"totalTokenCount": 45,"thoughtsTokenCount": 33}',
  ),
  gemini(
    '{"text": " from data."}',
    ',"finishReason": "STOP","index": 0}],"usageMetadata": {"promptTokenCount": 8,"candidatesTokenCount": 12,"totalTokenCount": 53,"promptTokensDetails": [{"modality": "TEXT","tokenCount": 8}],"thoughtsTokenCount": 33}',
  ),
];

const vertex = (parts: string, rest: string) =>
  `data: {"candidates": [{"content": {"role": "model","parts": [${parts}]}${rest},"modelVersion": "gemini-2.5-flash-lite","createTime": "2026-03-10T14:54:45.066123Z","responseId": "tTCwacuEBMvnitYP06qsgQY"}\r\n\r\n`;

const ollama = (rest: string) =>
  `{"model":"llama3.2","created_at":"2023-08-04T08:52:19.385406455-07:00",${rest}}\n`;
const OLLAMA_END =
  '"done":true,"done_reason":"stop","total_duration":4883583458,"load_duration":1334875,"prompt_eval_count":26,"prompt_eval_duration":342546000,"eval_count":282,"eval_duration":4535599000';

export const MODEL_ANSWERS: readonly ModelAnswer[] = [
  {
    name: "a chat completion of OpenAI, streamed with include_usage",
    contentType: SSE,
    body: CHAT_CHUNKS.join(""),
    input: 19,
    output: 10,
    model: "gpt-5.2-2025-12-11",
    first: "Hello",
  },
  {
    name: "a chat completion of OpenAI, streamed, that calls a tool",
    contentType: SSE,
    body: [
      chunk(
        `${delta('{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_DdmO9pD3xa9XTPNJ32zg2hcA","type":"function","function":{"name":"get_weather","arguments":""}}],"refusal":null}')},"usage":null`,
      ),
      chunk(`${delta('{"tool_calls":[{"index":0,"function":{"arguments":"{\\""}}]}')},"usage":null`),
      chunk(`${delta("{}", '"tool_calls"')},"usage":null`),
      chunk('"choices":[],"usage":{"prompt_tokens":82,"completion_tokens":17,"total_tokens":99}'),
      "data: [DONE]\n\n",
    ].join(""),
    input: 82,
    output: 17,
    model: "gpt-5.2-2025-12-11",
    first: "get_weather",
  },
  {
    name: "a chat completion with reasoning, and usage in each chunk, as vLLM streams it",
    contentType: SSE,
    body: [
      ': ping\n\ndata: {"id":"c","object":"chat.completion.chunk","model":"qwen3","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":{"prompt_tokens":5,"total_tokens":5,"completion_tokens":0}}\n\n',
      'data: {"id":"c","object":"chat.completion.chunk","model":"qwen3","choices":[{"index":0,"delta":{"reasoning_content":"Hmm"},"finish_reason":null}],"usage":{"prompt_tokens":5,"total_tokens":6,"completion_tokens":1}}\n\n',
      'data: {"id":"c","object":"chat.completion.chunk","model":"qwen3","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"total_tokens":7,"completion_tokens":2}}\n\n',
      "data: [DONE]\n\n",
    ].join(""),
    input: 5,
    output: 2,
    model: "qwen3",
    first: "Hmm",
  },
  {
    name: "a chat completion of OpenAI, whole",
    contentType: "application/json",
    body: '{\n  "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",\n  "object": "chat.completion",\n  "created": 1741569952,\n  "model": "gpt-5.2-2025-12-11",\n  "choices": [\n    {\n      "index": 0,\n      "message": {\n        "role": "assistant",\n        "content": "Send {\\"usage\\": {\\"prompt_tokens\\": 1}} or \\" { [\\\\",\n        "refusal": null,\n        "annotations": []\n      },\n      "logprobs": null,\n      "finish_reason": "stop"\n    }\n  ],\n  "usage": {\n    "prompt_tokens": 19,\n    "completion_tokens": 10,\n    "total_tokens": 29\n  },\n  "service_tier": "default"\n}\n',
    input: 19,
    output: 10,
    model: "gpt-5.2-2025-12-11",
    first: undefined,
  },
  {
    name: "embeddings of OpenAI",
    contentType: "application/json",
    body: '{"object":"list","data":[{"object":"embedding","embedding":[0.0023064255,-0.009327292],"index":0}],"model":"text-embedding-3-small","usage":{"prompt_tokens":8,"total_tokens":8}}',
    input: 8,
    output: 0,
    model: "text-embedding-3-small",
    first: undefined,
  },
  {
    name: "a response of OpenAI, streamed",
    contentType: SSE,
    body: [
      responses("response.created", response("in_progress", "null")),
      responses("response.in_progress", response("in_progress", "null")),
      responses(
        "response.output_item.added",
        '"output_index":0,"item":{"id":"msg_67c9fdcf37fc8190ba82116e33fb28c507b8b0ad4e5eb654","type":"message","status":"in_progress","role":"assistant","content":[]}',
      ),
      responses(
        "response.content_part.added",
        '"item_id":"msg_67c9fdcf37fc8190ba82116e33fb28c507b8b0ad4e5eb654","output_index":0,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}',
      ),
      responses(
        "response.output_text.delta",
        '"item_id":"msg_67c9fdcf37fc8190ba82116e33fb28c507b8b0ad4e5eb654","output_index":0,"content_index":0,"delta":"Hi"',
      ),
      responses(
        "response.output_text.done",
        '"item_id":"msg_67c9fdcf37fc8190ba82116e33fb28c507b8b0ad4e5eb654","output_index":0,"content_index":0,"text":"Hi there!"',
      ),
      responses(
        "response.completed",
        response(
          "completed",
          '{"input_tokens":37,"output_tokens":11,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":48}',
        ),
      ),
    ].join(""),
    input: 37,
    output: 11,
    model: "gpt-5.2-2025-12-11",
    first: '"delta":"Hi"',
  },
  {
    name: "a response of OpenAI, whole",
    contentType: "application/json",
    body: '{"id":"resp_1","object":"response","created_at":1741476542,"status":"completed","model":"gpt-5.2-2025-12-11","output":[{"type":"message","content":[{"type":"output_text","text":"In a","annotations":[]}]}],"usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":30},"output_tokens":87,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":123}}',
    input: 36,
    output: 87,
    model: "gpt-5.2-2025-12-11",
    first: undefined,
  },
  {
    name: "a message of Anthropic, streamed",
    contentType: SSE,
    body: [
      anthropicStart('{"input_tokens": 25, "output_tokens": 1}'),
      named("content_block_start", ', "index": 0, "content_block": {"type": "text", "text": ""}'),
      named("ping", ""),
      named("content_block_delta", ', "index": 0, "delta": {"type": "text_delta", "text": "Hello"}'),
      named("content_block_delta", ', "index": 0, "delta": {"type": "text_delta", "text": "!"}'),
      named("content_block_stop", ', "index": 0'),
      named(
        "message_delta",
        ', "delta": {"stop_reason": "end_turn", "stop_sequence":null}, "usage": {"output_tokens": 15}',
      ),
      named("message_stop", ""),
    ].join(""),
    input: 25,
    output: 15,
    model: "claude-opus-4-5-20251101",
    first: '"Hello"',
  },
  {
    name: "a message of Anthropic with thinking, a cache, and a server's tool that reports twice",
    contentType: SSE,
    body: [
      anthropicStart(
        '{"input_tokens": 3, "cache_creation_input_tokens": 100, "cache_read_input_tokens": 2000, "output_tokens": 3}',
      ),
      named(
        "content_block_start",
        ', "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}',
      ),
      named("content_block_delta", ', "index": 0, "delta": {"type": "thinking_delta", "thinking": "I need"}'),
      named(
        "content_block_delta",
        ', "index": 0, "delta": {"type": "signature_delta", "signature": "EqQBCgIYAhIM"}',
      ),
      named("content_block_stop", ', "index": 0'),
      named(
        "message_delta",
        ', "delta": {"stop_reason": null}, "usage": {"input_tokens": null, "output_tokens": 40}',
      ),
      named(
        "message_delta",
        ', "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"input_tokens": 7, "cache_creation_input_tokens": 100, "cache_read_input_tokens": 3000, "output_tokens": 510, "server_tool_use": {"web_search_requests": 1}}',
      ),
      named("message_stop", ""),
    ].join(""),
    input: 3107,
    output: 510,
    model: "claude-opus-4-5-20251101",
    first: "I need",
  },
  {
    name: "a message of Anthropic, whole",
    contentType: "application/json",
    body: '{"id":"msg_013Zva2CMHLNnXjNJJKqJ2EF","type":"message","role":"assistant","model":"claude-opus-4-5-20251101","content":[{"type":"text","text":"Hi! My name is Claude."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":2095,"cache_creation_input_tokens":0,"cache_read_input_tokens":5,"output_tokens":503}}',
    input: 2100,
    output: 503,
    model: "claude-opus-4-5-20251101",
    first: undefined,
  },
  {
    name: "an answer of Gemini, streamed as events",
    contentType: SSE,
    body: GEMINI_PARTS.map((part) => `data: ${part}\r\n\r\n`).join(""),
    input: 8,
    output: 45,
    model: "gemini-2.5-flash",
    first: "**Thinking**",
  },
  {
    name: "an answer of Gemini, streamed as a JSON array",
    contentType: "application/json; charset=UTF-8",
    body: `[${GEMINI_PARTS.map((part) => part.replaceAll(",", ",\n  ")).join("\n,\r\n")}\n]\n`,
    input: 8,
    output: 45,
    model: "gemini-2.5-flash",
    first: "**Thinking**",
  },
  {
    name: "an answer of Gemini, whole",
    contentType: "application/json; charset=UTF-8",
    body: GEMINI_PARTS[2] ?? "",
    input: 8,
    output: 45,
    model: "gemini-2.5-flash",
    first: undefined,
  },
  {
    name: "an answer of Vertex AI, whose first parts have a usage without counts",
    contentType: "text/event-stream",
    body: [
      vertex('{"text": "Hello!"}', '}],"usageMetadata": {"trafficType": "ON_DEMAND"}'),
      vertex(
        '{"text": "","thoughtSignature": "AY89a18iOcFus5wr5bW5xN6zZ4aUiCyhgmg6HE2YjtYDV"}',
        ',"finishReason": "STOP"}],"usageMetadata": {"promptTokenCount": 1,"candidatesTokenCount": 9,"toolUsePromptTokenCount": 2,"totalTokenCount": 12,"trafficType": "ON_DEMAND"}',
      ),
    ].join(""),
    input: 3,
    output: 9,
    model: "gemini-2.5-flash-lite",
    first: "Hello!",
  },
  {
    name: "a chat of Ollama, streamed",
    contentType: "application/x-ndjson",
    body: [
      ollama('"message":{"role":"assistant","content":""},"done":false'),
      ollama('"message":{"role":"assistant","content":"The"},"done":false'),
      ollama('"message":{"role":"assistant","content":" {\\"eval_count\\": 5}"},"done":false'),
      ollama(`"message":{"role":"assistant","content":""},${OLLAMA_END}`),
    ].join(""),
    input: 26,
    output: 282,
    model: "llama3.2",
    first: "The",
  },
  {
    name: "a completion of Ollama, streamed, with thinking and a cached prompt",
    contentType: "application/x-ndjson",
    body: [
      ollama('"response":"","thinking":"Okay","done":false'),
      ollama('"response":"The","done":false'),
      ollama('"response":"","done":true,"done_reason":"stop","context":[1,2,3],"eval_count":7'),
    ].join(""),
    input: 0,
    output: 7,
    model: "llama3.2",
    first: "Okay",
  },
  {
    name: "a chat of Ollama, whole",
    contentType: "application/json; charset=utf-8",
    body: ollama(`"message":{"role":"assistant","content":"Hello!"},${OLLAMA_END}`).trim(),
    input: 26,
    output: 282,
    model: "llama3.2",
    first: undefined,
  },
];
