use std::sync::atomic::{AtomicUsize, Ordering};

use base::{SystemClock, SystemRandomness};
use parking_lot::Mutex;

use super::*;

/// Answers each proposal as it is told to, and counts the calls and the request ids.
struct Scripted {
    answers: Vec<Proposal>,
    calls: AtomicUsize,
    requests: Mutex<Vec<RequestId>>,
}

impl Scripted {
    fn new(answers: &[Proposal]) -> Arc<Self> {
        let answers = answers.to_vec();
        Arc::new(Self { answers, calls: AtomicUsize::new(0), requests: Mutex::default() })
    }
}

#[async_trait::async_trait]
impl Meta for Scripted {
    async fn propose(&self, request: RequestId, _: Command, _: Instant) -> Proposal {
        self.requests.lock().push(request);
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        // The last answer stands for ever.
        self.answers.get(call).or(self.answers.last()).copied().expect("an answer")
    }

    async fn read(&self, _: Query, _: Consistency, _: Instant) -> Result<crate::Reading, ReadFailed> {
        std::future::pending().await
    }

    fn watch(&self, filter: crate::Filter, from: Revision) -> crate::Watch {
        crate::ChangeLog::new(Revision::ZERO).watch(filter, from)
    }
}

fn proposer(meta: &Arc<Scripted>) -> Proposer {
    Proposer::new(Arc::clone(meta) as _, Arc::new(SystemClock), Arc::new(SystemRandomness))
}

const DONE: Proposal = Proposal::Applied { revision: Revision(1), outcome: Outcome::Done };
const BUSY: Proposal = Proposal::NotApplied(NotApplied::Busy);
const CLOSED: Proposal = Proposal::NotApplied(NotApplied::Closed);

async fn propose_over(answers: &[Proposal]) -> (Result<Outcome, MetaError>, Vec<RequestId>) {
    let meta = Scripted::new(answers);
    let result = proposer(&meta).propose(Command::ResetAfterRestart).await.map(|(_, outcome)| outcome);
    let requests = meta.requests.lock().clone();
    (result, requests)
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_asked_for_again_with_the_same_request() {
    let (result, requests) = propose_over(&[Proposal::Unknown, Proposal::Unknown, DONE]).await;
    assert_eq!((result, requests.len()), (Ok(Outcome::Done), 3));
    assert!(requests.iter().all(|request| *request == requests[0]), "{requests:?}");
}

#[tokio::test(start_paused = true)]
async fn what_stays_unknown_is_said_to_be_unknown_in_time() {
    let start = SystemClock.now();
    let (result, requests) = propose_over(&[Proposal::Unknown]).await;
    assert_eq!(result, Err(MetaError::Unknown));
    assert!(requests.len() < 40, "{} calls", requests.len());
    let waited = tokio::time::Instant::from_std(start).elapsed();
    assert!(waited < base::limits::META_ANSWER_MAX + Duration::from_secs(1), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_believed_only_where_nothing_is_in_doubt() {
    assert_eq!(propose_over(&[BUSY]).await.0, Err(MetaError::NotApplied(NotApplied::Busy)));
    assert_eq!(propose_over(&[CLOSED]).await.0, Err(MetaError::NotApplied(NotApplied::Closed)));
    // The first attempt may still come through, so a refusal of the second does not settle it.
    assert_eq!(propose_over(&[Proposal::Unknown, CLOSED]).await.0, Err(MetaError::Unknown));
    assert_eq!(propose_over(&[Proposal::Unknown, BUSY, DONE]).await.0, Ok(Outcome::Done));
}

#[tokio::test(start_paused = true)]
async fn a_reader_is_answered_in_time_by_a_plane_that_is_silent() {
    let proposer = proposer(&Scripted::new(&[DONE])).within(Duration::from_millis(200));
    let query = Query::Settings { app: base::AppName::new("a").unwrap() };
    let answer = proposer.read(query, Consistency::Linearizable).await;
    assert_eq!(answer, Err(MetaError::Unavailable(ReadFailed::TooLate)));
}
