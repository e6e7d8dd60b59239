//! A stand-in for an agent: a shell script that replays a transcript with a fault.
//!
//! Invariant: it knows nothing of the host but two files beside it and the arguments that the manifest gives it.

use super::fault::Fault;
use super::transcripts::transcript;
use crate::manifest::{Manifest, Prompt, Source};

/// Name of the script, which is the program.
pub const PROGRAM: &str = "fakeagent";
/// Name of the file beside it that holds the stream.
pub const EVENTS: &str = "stream";
/// How the file with the prompt must be called for the script to find it among its arguments.
pub const PROMPT_FILE: &str = "prompt.md";

/// What a fault needs on disk.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The script. It writes the prompt that it was given to `prompt-seen` beside itself.
    pub script: String,
    /// What the script replays, in the file [`EVENTS`].
    pub stream: Vec<u8>,
}

/// The stand-in for a fault. `work` is a shell line that it runs as its work in its working folder.
pub fn scene(manifest: &Manifest, fault: Fault, work: &str) -> Scene {
    let base = transcript(manifest.adapter(), fault.base());
    let text = base.map_or("", |base| base.bytes);
    Scene {
        script: script(manifest, fault, work),
        stream: stream(manifest, fault, text),
    }
}

fn stream(manifest: &Manifest, fault: Fault, text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    let dialogue = manifest.prompt == Prompt::Dialogue;
    // Where something may be put in without breaking a dialogue.
    let after = if dialogue { 2 } else { 0 };
    let at = text
        .match_indices('\n')
        .nth(after)
        .map_or(bytes.len(), |(at, _)| at + 1);
    let strange: &[u8] = if dialogue {
        b"{\"jsonrpc\":\"2.0\",\"method\":\"brand/new\",\"params\":{}}\n"
    } else {
        b"{\"type\":\"brand_new\",\"event\":\"brand_new\",\"data\":[1,null]}\n"
    };
    match fault {
        Fault::TruncatedJson => bytes.truncate(bytes.len() - bytes.len().min(9)),
        Fault::EventAfterEnd => bytes.extend_from_slice(strange),
        Fault::UnknownEvent => drop(bytes.splice(at..at, strange.iter().copied())),
        Fault::InvalidUtf8 => drop(bytes.splice(at..at, *b"\xff\xfe\xc3(\n")),
        _ => {}
    }
    bytes
}

fn script(manifest: &Manifest, fault: Fault, work: &str) -> String {
    let flags: Vec<&str> = manifest
        .args
        .iter()
        .flat_map(|group| &group.flags)
        .map(String::as_str)
        .collect();
    let version = match fault {
        Fault::NewerVersion => "999.0.0",
        _ if !manifest.probe.known.is_empty() => &manifest.probe.known,
        _ if !manifest.probe.oldest.is_empty() => &manifest.probe.oldest,
        _ => "1.0.0",
    };
    let huge = if fault == Fault::HugeOutput {
        "head -c 100000000 /dev/zero | tr '\\0' x; echo\n"
    } else {
        ""
    };
    let replay = match (manifest.prompt, manifest.output.source) {
        (Prompt::Dialogue, _) => format!(
            "read -r line; sed -n 1p \"$here/{EVENTS}\"\nread -r line; sed -n 2p \"$here/{EVENTS}\"\n\
             read -r line; printf '%s' \"$line\" > \"$here/prompt-seen\"\n{work}\n{huge}sed 1,2d \"$here/{EVENTS}\"\n"
        ),
        (Prompt::Stdin, _) => {
            format!("cat > \"$here/prompt-seen\"\n{work}\n{huge}cat \"$here/{EVENTS}\"\n")
        }
        (Prompt::File, source) => {
            let to = if source == Source::File {
                " > \"$events\""
            } else {
                ""
            };
            format!(
                "cat \"$prompt\" > \"$here/prompt-seen\"; cat >> \"$here/prompt-seen\"\n{work}\n{huge}cat \"$here/{EVENTS}\"{to}\n"
            )
        }
    };
    let before = if fault == Fault::SignalsIgnored {
        "trap '' TERM INT HUP\n"
    } else {
        ""
    };
    let after = match fault {
        Fault::HangAfterEnd => "exec sleep 1000",
        Fault::SignalsIgnored => "while :; do sleep 0.1; done",
        Fault::ExitOneAfterSuccess => "exit 1",
        Fault::OrphanChild => "setsid sleep 1000 >/dev/null 2>&1 </dev/null &\nsleep 0.2\nexit 0",
        _ => "exit 0",
    };
    format!(
        "#!/bin/sh\nhere=${{0%/*}}\ncase \" $* \" in\n*' --version '*) echo '{version}'; exit 0;;\n\
         *' --help '*) echo 'Options: --help {flags}'; exit 0;;\nesac\nevents=\nprompt=\n\
         for word in \"$@\"; do\n  case $word in\n  */events.jsonl) events=$word;;\n  */{PROMPT_FILE}*) \
         prompt=/${{word#*/}}; prompt=${{prompt%{PROMPT_FILE}*}}{PROMPT_FILE};;\n  esac\ndone\n\
         {before}{replay}{after}\n",
        flags = flags.join(" "),
    )
}
