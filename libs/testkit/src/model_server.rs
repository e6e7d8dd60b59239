//! A server that speaks what model endpoints speak, Anthropic Messages and chat completions, with streaming.
//!
//! Invariant: it listens on the loopback interface only, counts the tokens of every answer that it began, and cuts an
//! answer at the bound that the request sets, as a provider does.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

/// Bytes of an answer that count as one token.
const BYTES: usize = 4;
/// How long a client may be silent.
const SILENCE: Duration = Duration::from_secs(20);
/// Input of every call: not cached, written to and read from a cache.
const INPUT: (u64, u64, u64) = (11, 7, 100);

/// What the next call gets.
#[derive(Clone, Debug)]
pub enum Play {
    /// A text, cut at the request's bound.
    Say(String),
    /// A text that the stream breaks off after, in the middle.
    Break(String),
    /// A text whose figures do not add up (chat completions only).
    Miscount(String),
    /// A text without any figures.
    Untold(String),
    /// An error event after a text.
    Fail(String, &'static str),
    /// A status with headers and a body.
    Refuse(u16, Vec<(&'static str, String)>, Value),
    /// The model declines.
    Decline,
    /// Nothing, for as long as the client stays.
    Hang,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Calls.
    pub calls: u64,
    /// Tokens of all kinds.
    pub total: u64,
    /// Tokens of the answers.
    pub output: u64,
}

/// One call, as it came.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its path.
    pub path: String,
    /// Its headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: Value,
}

impl Call {
    /// All that it asks, as one text.
    pub fn text(&self) -> String {
        self.body["messages"].to_string()
    }

    /// The bound on the answer.
    pub fn bound(&self) -> u64 {
        ["max_tokens", "max_completion_tokens"]
            .into_iter()
            .find_map(|key| self.body[key].as_u64())
            .unwrap_or(u64::MAX)
    }

    fn is_anthropic(&self) -> bool {
        self.path.ends_with("/messages")
    }
}

type Answer = Box<dyn Fn(&Call) -> Play + Send>;

#[derive(Default)]
struct State {
    plays: VecDeque<Play>,
    always: Option<Answer>,
    counted: Counted,
    calls: Vec<Call>,
}

/// The server.
pub struct ModelServer {
    port: u16,
    end: Arc<AtomicBool>,
    state: Arc<Mutex<State>>,
}

impl ModelServer {
    /// One that answers what is pushed.
    #[track_caller]
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let end = Arc::new(AtomicBool::new(false));
        let state = Arc::new(Mutex::new(State::default()));
        let (ended, shared) = (Arc::clone(&end), Arc::clone(&state));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let (state, ended) = (Arc::clone(&shared), Arc::clone(&ended));
                // A client that goes away is no matter of the server.
                std::thread::spawn(move || serve(stream, &state, &ended).ok());
            }
        });
        Self { port, end, state }
    }

    /// Its address for Anthropic Messages.
    pub fn anthropic(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its address for chat completions.
    pub fn openai(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// What a later call gets, in order.
    pub fn push(&self, play: Play) {
        self.state().plays.push_back(play);
    }

    /// What every call gets for which nothing was pushed.
    pub fn always(&self, answer: impl Fn(&Call) -> Play + Send + 'static) {
        self.state().always = Some(Box::new(answer));
    }

    /// What it counted.
    pub fn counted(&self) -> Counted {
        self.state().counted
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.end.store(true, Ordering::SeqCst);
        // Wakes the listener, which looks at the flag.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>, ended: &AtomicBool) -> io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    let call = read(&stream)?;
    let mut out = stream.try_clone()?;
    let play = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.counted.calls += 1;
        state.calls.push(call.clone());
        let next = state.plays.pop_front();
        next.or_else(|| state.always.as_ref().map(|answer| answer(&call)))
    };
    let nothing = json!({ "error": { "message": "nothing was pushed" } });
    match play.unwrap_or(Play::Refuse(400, Vec::new(), nothing)) {
        Play::Refuse(status, headers, body) => {
            let body = body.to_string();
            write!(
                out,
                "HTTP/1.1 {status} Refused\r\ncontent-type: application/json\r\n"
            )?;
            for (name, value) in headers {
                write!(out, "{name}: {value}\r\n")?;
            }
            write!(
                out,
                "content-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            )
        }
        Play::Hang => {
            while !ended.load(Ordering::SeqCst) {
                let mut byte = [0];
                let read = (&stream).read(&mut byte);
                match read {
                    Ok(0) => break,
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => break,
                    Ok(_) | Err(_) => {}
                }
            }
            Ok(())
        }
        play => {
            write!(
                out,
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
            )?;
            let (events, output) = events(&call, &play);
            {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                state.counted.output += output;
                state.counted.total += output + INPUT.0 + INPUT.1 + INPUT.2;
            }
            for event in events {
                out.write_all(event.as_bytes())?;
            }
            out.flush()
        }
    }
}

/// The stream of an answer, and its tokens.
fn events(call: &Call, play: &Play) -> (Vec<String>, u64) {
    let (text, broken, counted) = match play {
        Play::Say(text) | Play::Miscount(text) => (text.as_str(), false, true),
        Play::Break(text) | Play::Fail(text, _) => (text.as_str(), true, true),
        Play::Untold(text) => (text.as_str(), false, false),
        Play::Decline | Play::Refuse(..) | Play::Hang => ("", false, true),
    };
    let bound = usize::try_from(call.bound()).unwrap_or(usize::MAX);
    let mut end = text.len().min(bound.saturating_mul(BYTES));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let cut = end < text.len();
    let text = &text[..end];
    let output = text.len().div_ceil(BYTES).max(1) as u64;
    let declined = matches!(play, Play::Decline);
    let mut events = if call.is_anthropic() {
        let reason = match (declined, cut) {
            (true, _) => "refusal",
            (false, true) => "max_tokens",
            (false, false) => "end_turn",
        };
        anthropic(call, text, output, reason, counted)
    } else {
        let reason = match (declined, cut) {
            (true, _) => "content_filter",
            (false, true) => "length",
            (false, false) => "stop",
        };
        let wrong = u64::from(matches!(play, Play::Miscount(_))) * 1000;
        openai(call, text, output, reason, counted.then_some(wrong))
    };
    if broken {
        // Without what tells the end.
        let last = if call.is_anthropic() { 2 } else { 3 };
        events.truncate(events.len().saturating_sub(last));
    }
    if let Play::Fail(_, kind) = play {
        let error = json!({ "type": "error", "error": { "type": kind, "message": kind } });
        events.push(format!("data: {error}\n\n"));
    }
    (events, output)
}

fn anthropic(call: &Call, text: &str, output: u64, reason: &str, counted: bool) -> Vec<String> {
    let mut usage = json!({
        "input_tokens": INPUT.0,
        "cache_creation_input_tokens": INPUT.1,
        "cache_read_input_tokens": INPUT.2,
        "output_tokens": 1
    });
    let mut last = json!({ "output_tokens": output });
    if !counted {
        (usage, last) = (Value::Null, Value::Null);
    }
    let mut events = vec![json!({
        "type": "message_start",
        "message": { "id": "msg_1", "role": "assistant", "model": call.body["model"], "usage": usage }
    })];
    for piece in pieces(text) {
        events.push(json!({
            "type": "content_block_delta",
            "index": 0,
            "delta": { "type": "text_delta", "text": piece }
        }));
    }
    events.push(json!({
        "type": "message_delta",
        "delta": { "stop_reason": reason, "stop_sequence": null },
        "usage": last
    }));
    events.push(json!({ "type": "message_stop" }));
    events
        .iter()
        .map(|event| {
            format!(
                "event: {}\ndata: {event}\n\n",
                event["type"].as_str().unwrap_or_default()
            )
        })
        .collect()
}

fn openai(call: &Call, text: &str, output: u64, reason: &str, wrong: Option<u64>) -> Vec<String> {
    let chunk = |choices: Value, usage: Value| json!({ "id": "chatcmpl-1", "model": call.body["model"], "choices": choices, "usage": usage });
    let mut chunks = vec![chunk(
        json!([{ "index": 0, "delta": { "role": "assistant" }, "finish_reason": null }]),
        Value::Null,
    )];
    for piece in pieces(text) {
        let choices = json!([{ "index": 0, "delta": { "content": piece }, "finish_reason": null }]);
        chunks.push(chunk(choices, Value::Null));
    }
    let end = json!([{ "index": 0, "delta": {}, "finish_reason": reason }]);
    chunks.push(chunk(end, Value::Null));
    if let Some(wrong) = wrong {
        let prompt = INPUT.0 + INPUT.1 + INPUT.2;
        let usage = json!({
            "prompt_tokens": prompt,
            "completion_tokens": output,
            "total_tokens": prompt + output + wrong,
            "prompt_tokens_details": { "cached_tokens": INPUT.2 }
        });
        chunks.push(chunk(json!([]), usage));
    }
    let mut events: Vec<String> = chunks
        .iter()
        .map(|one| format!("data: {one}\n\n"))
        .collect();
    events.push("data: [DONE]\n\n".to_owned());
    events
}

/// A text in pieces of a few characters.
fn pieces(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters
        .chunks(40)
        .map(|piece| piece.iter().collect())
        .collect()
}

fn read(stream: &TcpStream) -> io::Result<Call> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length: usize = headers
        .get("content-length")
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Call {
        path,
        headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    })
}
