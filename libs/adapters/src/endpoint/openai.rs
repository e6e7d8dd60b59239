//! Chunks of chat completions.
//!
//! Invariant: `prompt_tokens` has the cached ones inside; reasoning is part of `completion_tokens`.

use serde_json::Value;

use super::stream::{Reply, Stop};

pub(super) fn take(reply: &mut Reply, chunk: &Value) {
    if chunk["error"].is_object() {
        let word = |key: &str| chunk["error"][key].as_str().unwrap_or_default();
        let kind = [word("code"), word("type")];
        let kind = kind.into_iter().find(|kind| !kind.is_empty());
        let words = crate::lines::clip(word("message"), 500);
        reply.error = Some((crate::lines::clip(kind.unwrap_or_default(), 60), words));
        return;
    }
    if let Some(model) = chunk["model"].as_str() {
        model.clone_into(&mut reply.model);
    }
    let choice = &chunk["choices"][0];
    let said = choice["delta"]["content"].as_str();
    reply.say(said.unwrap_or_default());
    if choice["delta"]["refusal"].is_string() {
        reply.stop = Some(Stop::Declined);
    }
    if let Some(reason) = choice["finish_reason"].as_str() {
        reply.stop = Some(match reason {
            "stop" => reply.stop.take().unwrap_or(Stop::End),
            "length" => Stop::Length,
            "content_filter" => Stop::Declined,
            other => Stop::Other(crate::lines::clip(other, 60)),
        });
    }
    let usage = &chunk["usage"];
    let (prompt, completion) = (
        usage["prompt_tokens"].as_u64(),
        usage["completion_tokens"].as_u64(),
    );
    if let (Some(prompt), Some(completion)) = (prompt, completion) {
        let cached = usage["prompt_tokens_details"]["cached_tokens"].as_u64();
        let cached = cached.unwrap_or(0).min(prompt);
        reply.tokens.uncached = Some(prompt - cached);
        reply.tokens.cache_read = Some(cached);
        reply.tokens.cache_write = Some(0);
        reply.tokens.output = Some(completion);
        reply.own_total = usage["total_tokens"].as_u64();
        reply.counted = true;
    }
}
