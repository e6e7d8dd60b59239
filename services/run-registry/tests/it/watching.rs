//! `WatchRun`: a snapshot, gapless events, a resumption that misses and doubles nothing.

use autopack_wire::registry::{
    CreateRunRequest, ListChangesRequest, WatchRunRequest, watch_run_response::Message,
};

use crate::harness::{Harness, PLAN, Place, both, request};

both!(
    a_watch_that_resumes_misses_nothing,
    a_follower_of_the_log_is_told_each_changed_run_once,
);

async fn a_watch_that_resumes_misses_nothing(place: Place) {
    let h = Harness::start(&place).await;
    let run = h.create(request(PLAN)).await.unwrap().run.unwrap();
    let watch = WatchRunRequest {
        run_id: "demo".into(),
        after_sequence: 0,
    };
    let mut stream = h
        .clients
        .registry
        .clone()
        .watch_run(watch)
        .await
        .unwrap()
        .into_inner();
    let Some(Message::Snapshot(snapshot)) = stream.message().await.unwrap().unwrap().message else {
        panic!("no snapshot")
    };
    let start = snapshot.run.unwrap().last_event;
    h.bootstrap(&run).await;
    let lease = h.lease(&run, 0).await;
    h.settle(&run, &lease, "").await.unwrap();
    let lease = h.lease(&run, 1).await;
    h.settle(&run, &lease, "").await.unwrap();
    let mut live = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        if let Some(Message::Event(event)) = message.message {
            live.push((event.run_sequence, event.kind));
        }
    }
    let numbers: Vec<u64> = live.iter().map(|(n, _)| *n).collect();
    assert_eq!(
        numbers,
        (start + 1..=start + live.len() as u64).collect::<Vec<_>>(),
        "gapless"
    );
    assert_eq!(
        live.last().unwrap().1,
        "run_finished",
        "the stream ends after the terminal event"
    );
    for after in [1, numbers[numbers.len() / 2]] {
        let watch = WatchRunRequest {
            run_id: "demo".into(),
            after_sequence: after,
        };
        let mut stream = h
            .clients
            .registry
            .clone()
            .watch_run(watch)
            .await
            .unwrap()
            .into_inner();
        let mut again = Vec::new();
        while let Some(message) = stream.message().await.unwrap() {
            if let Some(Message::Event(event)) = message.message {
                again.push((event.run_sequence, event.kind));
            }
        }
        let want: Vec<_> = live.iter().filter(|(n, _)| *n > after).cloned().collect();
        assert_eq!(again[again.len() - want.len()..], want[..]);
        assert_eq!(again.first().unwrap().0, after + 1);
    }
    let beyond = WatchRunRequest {
        run_id: "demo".into(),
        after_sequence: 9999,
    };
    assert_eq!(
        h.clients
            .registry
            .clone()
            .watch_run(beyond)
            .await
            .unwrap_err()
            .code(),
        tonic::Code::OutOfRange
    );
    h.stop().await;
}

async fn a_follower_of_the_log_is_told_each_changed_run_once(place: Place) {
    let h = Harness::start(&place).await;
    let changes = async |after_sequence, page_size| {
        let asked = ListChangesRequest {
            after_sequence,
            page_size,
        };
        let mut registry = h.clients.registry.clone();
        registry.list_changes(asked).await.unwrap().into_inner()
    };
    let empty = changes(0, 0).await;
    assert_eq!((empty.sequence, empty.more), (0, false));
    let one = h.create(request(PLAN)).await.unwrap().run.unwrap();
    h.bootstrap(&one).await;
    let other = CreateRunRequest {
        run_id: "other".to_owned(),
        ..request(PLAN)
    };
    let two = h.create(other).await.unwrap().run.unwrap();
    let all = changes(0, 0).await;
    assert_eq!(all.run_uids, [one.uid.clone(), two.uid.clone()]);
    assert!(!all.more && all.sequence > 2, "{all:?}");
    // Page by page the same, and the end is the end.
    let (mut seen, mut after) = (Vec::new(), 0);
    loop {
        let page = changes(after, 1).await;
        seen.extend(page.run_uids);
        after = page.sequence;
        if !page.more {
            break;
        }
    }
    seen.dedup();
    assert_eq!((seen, after), (all.run_uids.clone(), all.sequence));
    assert!(changes(all.sequence, 0).await.run_uids.is_empty());
    let beyond = changes(u64::MAX, 0).await;
    assert_eq!((beyond.sequence, beyond.more), (all.sequence, false));
    h.bootstrap(&two).await;
    assert_eq!(changes(all.sequence, 0).await.run_uids, [two.uid]);
}
