//! Events of Anthropic Messages.
//!
//! Invariant: figures of a message are running totals, so the last one counts; `input_tokens` leaves the cache out.

use serde_json::Value;

use super::stream::{Reply, Stop};

pub(super) fn take(reply: &mut Reply, event: &Value) {
    match event["type"].as_str().unwrap_or_default() {
        "message_start" => {
            let message = &event["message"];
            message["model"]
                .as_str()
                .unwrap_or_default()
                .clone_into(&mut reply.model);
            usage(reply, &message["usage"]);
        }
        "content_block_delta" => {
            reply.say(event["delta"]["text"].as_str().unwrap_or_default());
        }
        "message_delta" => {
            usage(reply, &event["usage"]);
            if event["usage"]["output_tokens"].is_u64() {
                reply.counted = reply.tokens.input().is_some();
            }
            if let Some(reason) = event["delta"]["stop_reason"].as_str() {
                reply.stop = Some(match reason {
                    "end_turn" | "stop_sequence" => Stop::End,
                    "max_tokens" | "model_context_window_exceeded" => Stop::Length,
                    "refusal" => Stop::Declined,
                    other => Stop::Other(crate::lines::clip(other, 60)),
                });
            }
        }
        "message_stop" => reply.complete = true,
        "error" => {
            let word = |key: &str| event["error"][key].as_str().unwrap_or_default();
            let words = crate::lines::clip(word("message"), 500);
            reply.error = Some((crate::lines::clip(word("type"), 60), words));
        }
        _ => {}
    }
}

fn usage(reply: &mut Reply, told: &Value) {
    let tokens = &mut reply.tokens;
    for (name, counter) in [
        ("input_tokens", &mut tokens.uncached),
        ("cache_read_input_tokens", &mut tokens.cache_read),
        ("cache_creation_input_tokens", &mut tokens.cache_write),
        ("output_tokens", &mut tokens.output),
    ] {
        if let Some(number) = told[name].as_u64() {
            *counter = Some(number);
        }
    }
    if tokens.uncached.is_some() {
        // Who tells the input and no cache has none.
        tokens.cache_read.get_or_insert(0);
        tokens.cache_write.get_or_insert(0);
    }
}
