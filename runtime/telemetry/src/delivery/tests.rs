use super::*;

/// A receiver that answers as it is told, and keeps what it took.
#[derive(Default)]
struct Scripted {
    answers: VecDeque<Result<Accepted, Refused>>,
    taken: Vec<Vec<u8>>,
    attempts: u32,
}

impl Transport for &mut Scripted {
    fn send(&mut self, request: &[u8]) -> Result<Accepted, Refused> {
        self.attempts += 1;
        let answer = self.answers.pop_front().unwrap_or(Ok(Accepted::default()));
        if answer.is_ok() {
            self.taken.push(request.to_vec());
        }
        answer
    }
}

fn scripted(answers: impl IntoIterator<Item = Result<Accepted, Refused>>) -> Scripted {
    Scripted { answers: answers.into_iter().collect(), ..Scripted::default() }
}

/// Sends until there is nothing more to send, or not yet: then says from when on it is worth to try again.
fn send_all<T: Transport, S: Spool>(delivery: &mut Delivery<T, S>, now: Duration) -> Option<Duration> {
    loop {
        match delivery.send_one(|| now) {
            Step::Sent => {}
            Step::Empty => return None,
            Step::Wait(again) => return Some(again),
        }
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn what_waits_is_sent_oldest_first() {
    let mut receiver = scripted([]);
    let mut delivery = Delivery::new(&mut receiver, MemorySpool::new(1000), 1, 0);
    [b"one", b"two"].into_iter().for_each(|request| delivery.push(request));
    assert_eq!(delivery.counts().spool_bytes, 6);
    assert_eq!(send_all(&mut delivery, seconds(0)), None);
    assert_eq!(delivery.counts(), DeliveryCounts::default());
    assert_eq!(receiver.taken, [b"one", b"two"]);
}

#[test]
fn a_receiver_that_is_away_is_asked_more_and_more_seldom_and_loses_nothing() {
    let mut receiver = scripted([Err(Refused::Later(None)); 12]);
    let mut delivery = Delivery::new(&mut receiver, MemorySpool::new(1000), 7, 0);
    delivery.push(b"one");
    let mut waits = Vec::new();
    let mut now = seconds(0);
    while let Some(again) = send_all(&mut delivery, now) {
        assert_eq!(send_all(&mut delivery, again - Duration::from_nanos(1)), Some(again), "not a moment before");
        waits.push((again - now).as_secs_f64());
        now = again;
    }
    assert_eq!((waits.len(), delivery.counts().failed), (12, 12));
    for (failure, wait) in waits.iter().enumerate() {
        let longest = 2f64.powi(failure as i32).min(120.0);
        assert!((longest / 2.0..=longest).contains(wait), "{failure}: {wait}");
    }
    assert_eq!(receiver.taken, [b"one"]);
}

#[test]
fn devices_that_failed_together_do_not_come_back_together() {
    let wait = |seed| {
        let mut receiver = scripted([Err(Refused::Later(None))]);
        let mut delivery = Delivery::new(&mut receiver, MemorySpool::new(1000), seed, 0);
        delivery.push(b"one");
        send_all(&mut delivery, seconds(0)).unwrap()
    };
    let waits: std::collections::BTreeSet<_> = (0..100).map(|device| wait(device * 7919 + 1)).collect();
    assert!(waits.len() > 40, "{}", waits.len());
}

#[test]
fn a_receiver_may_name_the_time_within_reason() {
    for (asked, from, to) in [(30, 30, 34), (3600, 3600, 3961), (1 << 40, 3600, 3961)] {
        let mut receiver = scripted([Err(Refused::Later(Some(seconds(asked))))]);
        let mut delivery = Delivery::new(&mut receiver, MemorySpool::new(1000), 3, 0);
        delivery.push(b"one");
        let again = send_all(&mut delivery, seconds(0)).unwrap();
        assert!((seconds(from)..seconds(to)).contains(&again), "{asked}: {again:?}");
    }
}

#[test]
fn success_resets_the_wait() {
    let later = Err(Refused::Later(None));
    let mut receiver = scripted([later, later, later, Ok(Accepted::default()), later]);
    let mut delivery = Delivery::new(&mut receiver, MemorySpool::new(1000), 3, 0);
    [b"one", b"two"].into_iter().for_each(|request| delivery.push(request));
    let mut now = seconds(0);
    for _ in 0..3 {
        now = send_all(&mut delivery, now).unwrap();
    }
    let again = send_all(&mut delivery, now).unwrap();
    assert!(again - now <= seconds(1), "the first was taken, the second failed for the first time");
    assert_eq!(delivery.counts().spool_bytes, 3);
}

#[test]
fn what_will_never_be_taken_is_given_up_and_counted() {
    let mut receiver = scripted([Err(Refused::Never), Ok(Accepted { rejected_points: 3 }), Ok(Accepted::default())]);
    let mut delivery = Delivery::new(&mut receiver, MemorySpool::new(1000), 3, 0);
    [b"one", b"two", b"six"].into_iter().for_each(|request| delivery.push(request));
    assert_eq!(send_all(&mut delivery, seconds(0)), None);
    let counts = delivery.counts();
    assert_eq!((counts.rejected, counts.failed, counts.spool_bytes), (2, 1, 0));
    assert_eq!(receiver.taken, [b"two", b"six"], "a partial success is not sent again");
}

#[test]
fn a_full_spool_gives_up_the_oldest() {
    let mut receiver = scripted([]);
    let mut delivery = Delivery::new(&mut receiver, MemorySpool::new(7), 3, 0);
    [b"one", b"two", b"six"].into_iter().for_each(|request| delivery.push(request));
    delivery.push(b"larger than the spool");
    assert_eq!(delivery.counts().spool_full, 4);
    assert_eq!(delivery.counts().spool_bytes, 0);
}

#[test]
fn statuses_mean_what_the_standard_says() {
    let after = Some(seconds(5));
    for status in [429, 502, 503, 504] {
        assert_eq!(Refused::from_status(status, after), Refused::Later(after), "{status}");
    }
    for status in [301, 400, 401, 403, 404, 408, 413, 500, 501] {
        assert_eq!(Refused::from_status(status, after), Refused::Never, "{status}");
    }
}
