//! What worker and supervisor say to each other.
//!
//! Invariant: the worker sends one frame and then keeps its end open; [`STOP`] after the frame asks the command to
//! end, and the end of that stream means that nobody waits any more. The supervisor answers with a `Started` line and a `Report` line.

use std::io::{self, Read};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{CapturedOutput, End, Limits, SandboxError, Spec};

/// The largest specification a supervisor accepts, standard input not counted.
const MAX_SPEC: u32 = 16 * 1024 * 1024;

/// Asks the command to end.
pub(crate) const STOP: &[u8] = b"T";

/// The first line of an answer.
#[derive(Debug, Deserialize)]
pub(crate) struct Started {
    /// The command's process id, which is its session id.
    pub(crate) pid: i32,
}

impl Started {
    /// The line.
    pub(crate) fn line(&self) -> Vec<u8> {
        format!("{{\"pid\":{}}}\n", self.pid).into_bytes()
    }
}

/// The last line of an answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) end: End,
    pub(crate) output: CapturedOutput,
    pub(crate) log_truncated: bool,
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    pub(crate) peak_memory_bytes: u64,
    pub(crate) left_behind: u32,
    pub(crate) survivors: u32,
    pub(crate) layers: Vec<String>,
}

/// The start of the frame: everything but the bytes of standard input.
pub(crate) fn header(spec: &Spec) -> Result<Vec<u8>, SandboxError> {
    let json =
        serde_json::to_vec(spec).map_err(|error| SandboxError::InvalidSpec(error.to_string()))?;
    let Some(length) = u32::try_from(json.len())
        .ok()
        .filter(|length| *length <= MAX_SPEC)
    else {
        return Err(SandboxError::InvalidSpec(format!(
            "it is larger than {MAX_SPEC} bytes"
        )));
    };
    let mut frame = Vec::with_capacity(json.len() + 16);
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&json);
    // Absent and empty differ: absent is /dev/null.
    let stdin = spec
        .stdin
        .as_ref()
        .map_or(u64::MAX, |bytes| bytes.len() as u64);
    frame.extend_from_slice(&stdin.to_le_bytes());
    Ok(frame)
}

/// Reads a whole frame.
pub(crate) fn read_spec(from: &mut impl Read) -> io::Result<Spec> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > MAX_SPEC {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the specification is too large",
        ));
    }
    let mut json = vec![0; length as usize];
    from.read_exact(&mut json)?;
    let mut spec: Spec = serde_json::from_slice(&json)?;
    let mut length = [0; 8];
    from.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length != u64::MAX {
        let mut bytes = Vec::new();
        from.take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        spec.stdin = Some(bytes);
    }
    Ok(spec)
}

/// The most an answer can be long: JSON writes a control character in six bytes.
pub(crate) fn max_answer(limits: &Limits) -> u64 {
    (limits.output_keep_head as u64 + limits.output_keep_tail as u64) * 6 + 64 * 1024
}

/// What could be read of an answer.
pub(crate) fn parse_answer(bytes: &[u8]) -> (Option<Started>, Option<Report>) {
    let mut started = None;
    let mut report = None;
    for line in bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        if let Ok(found) = serde_json::from_slice::<Report>(line) {
            report = Some(found);
        } else if let Ok(found) = serde_json::from_slice::<Started>(line) {
            started = Some(found);
        }
    }
    (started, report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_survives_the_way() {
        let mut spec = Spec::shell("true", "/".into());
        spec.stdin = Some(vec![0, 255, 10]);
        let mut frame = header(&spec).unwrap();
        frame.extend_from_slice(spec.stdin.as_ref().unwrap());
        let read = read_spec(&mut frame.as_slice()).unwrap();
        assert_eq!(read.argv, spec.argv);
        assert_eq!(read.stdin, spec.stdin);
        assert_eq!(read.limits.wall, spec.limits.wall);
    }

    #[test]
    fn a_cut_frame_is_refused() {
        let mut spec = Spec::shell("true", "/".into());
        spec.stdin = Some(vec![1; 10]);
        let frame = header(&spec).unwrap();
        assert!(read_spec(&mut frame.as_slice()).is_err());
        assert!(read_spec(&mut &frame[..10]).is_err());
    }

    #[test]
    fn half_an_answer_gives_the_session_only() {
        let (started, report) =
            parse_answer(&[&Started { pid: 42 }.line(), &b"{\"end\":{\"Exi"[..]].concat());
        assert_eq!(started.map(|started| started.pid), Some(42));
        assert!(report.is_none());
    }
}
