//! Every RPC asks who calls, before it reads what was sent; and says what it wanted when that is no message.

use autopack_domain::Reason;
use autopack_wire::server::{ALLOWED, Principal};
use autopack_wire::status::from_status;

use crate::book::{Book, Caller, check};

/// No message: a number that never ends.
const BROKEN: &[u8] = &[0xff; 12];

pub(crate) async fn call(book: &mut Book) {
    for (path, allowed) in ALLOWED {
        let mut cases = vec![
            (Caller::Nobody, Reason::Unauthenticated),
            (Caller::Stranger, Reason::KeyUnknown),
            (Caller::Allowed, Reason::ArgumentInvalid),
        ];
        let denied = Principal::ALL.iter().filter(|role| !allowed.contains(role));
        cases.extend(denied.map(|role| (Caller::Role(*role), Reason::PermissionDenied)));
        for (caller, reason) in cases {
            let at = format!("{path} by {caller:?}, {reason}");
            let answer = book.send(path, caller, vec![BROKEN.to_vec()]).await;
            let Err(status) = answer else {
                book.fault(format!("{at}: it was answered"));
                continue;
            };
            if let Err(problem) = check(&status, reason) {
                book.fault(format!("{at}: {problem}: {status:?}"));
            }
            if reason == Reason::ArgumentInvalid {
                let error = from_status(&status);
                let name = path.rsplit('/').next().unwrap_or_default();
                let wanted = format!("{name}Request");
                let faults = &error.faults;
                let says = faults.len() == 1
                    && faults[0].path == "request"
                    && faults[0].problem.contains(&wanted);
                if !says {
                    book.fault(format!("{at}: it does not say what is wanted: {error:?}"));
                }
            }
        }
    }
}
