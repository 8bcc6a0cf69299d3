//! The threads that code audio.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use base::limits;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

type Job = Box<dyn FnOnce() + Send>;

/// The job panicked; what it held is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the job panicked")]
pub struct Panicked;

/// A few OS threads for work that takes milliseconds of a core, kept off the threads that serve
/// sessions. At most [`limits::AUDIO_JOBS_MAX`] jobs run and wait. The threads end with the last clone.
#[derive(Clone, Debug)]
pub struct AudioPool {
    jobs: SyncSender<Job>,
    slots: Arc<Semaphore>,
}

impl AudioPool {
    /// Starts a pool of half the machine's cores, at least one: media and sessions keep the others.
    pub fn start() -> io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::with_threads((cores / 2).max(1))
    }

    /// Starts a pool of so many threads, at least one.
    pub fn with_threads(threads: usize) -> io::Result<Self> {
        let (jobs, waiting) = sync_channel(limits::AUDIO_JOBS_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        for number in 0..threads.max(1) {
            let waiting = Arc::clone(&waiting);
            std::thread::Builder::new().name(format!("audio-{number}")).spawn(move || work(&waiting))?;
        }
        Ok(Self { jobs, slots: Arc::new(Semaphore::new(limits::AUDIO_JOBS_MAX)) })
    }

    /// A place in the queue, or `None` when it is full.
    pub fn reserve(&self) -> Option<Slot> {
        let permit = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        Some(Slot { jobs: self.jobs.clone(), permit })
    }
}

/// A place in the pool's queue, for one job.
#[derive(Debug)]
pub struct Slot {
    jobs: SyncSender<Job>,
    permit: OwnedSemaphorePermit,
}

impl Slot {
    /// Runs `job` on one of the pool's threads and waits for what it gives.
    pub async fn run<T: Send + 'static>(
        self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Panicked> {
        let Self { jobs, permit } = self;
        let (done, result) = oneshot::channel();
        let job: Job = Box::new(move || {
            let _in_use = permit;
            // Nobody waits any more when the stream has ended meanwhile.
            let _unheard = done.send(job());
        });
        // There are as many places in the channel as slots, so it takes the job; were its threads gone,
        // the job would be dropped and `result` say so.
        drop(jobs.try_send(job));
        result.await.map_err(|_| Panicked)
    }
}

fn work(waiting: &Mutex<Receiver<Job>>) {
    loop {
        let job = waiting.lock().recv();
        let Ok(job) = job else { return };
        // The panic is reported by the process's hook and, through the dropped sender, to the waiter.
        let _panicked = catch_unwind(AssertUnwindSafe(job));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_its_job_and_nothing_else() {
        let pool = AudioPool::with_threads(1).unwrap();
        let panicked = pool.reserve().unwrap().run(|| panic!("a codec's bug")).await;
        assert_eq!(panicked, Err::<(), _>(Panicked));
        assert_eq!(pool.reserve().unwrap().run(|| 6 * 7).await, Ok(42));
    }

    #[tokio::test]
    async fn jobs_beyond_the_limit_are_refused_until_one_is_done() {
        let pool = AudioPool::with_threads(2).unwrap();
        let mut slots: Vec<_> = std::iter::from_fn(|| pool.reserve()).collect();
        assert_eq!(slots.len(), limits::AUDIO_JOBS_MAX);
        assert_eq!(slots.pop().unwrap().run(|| 1).await, Ok(1));
        // The slot is free once the job's closure is gone, which is right after its result is sent.
        assert!(pool.slots.acquire().await.is_ok());
        drop(slots.pop());
        assert!(pool.reserve().is_some());
    }
}
