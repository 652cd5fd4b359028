//! Room for work that takes long: a few threads, and not many who wait for one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task;

use crate::oauth::{Reason, Refusal};

const THREADS: usize = 2;
const WAITING: usize = 16;

/// How many requests of one client may wait, so that guesses at it leave room for the others.
pub(super) const WAITING_PER_CLIENT: usize = 4;

/// The threads and the places of those who wait.
pub(super) struct Room {
    threads: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Room {
    pub(super) fn new() -> Self {
        Self {
            threads: Arc::new(Semaphore::new(THREADS)),
            waiting: Semaphore::new(WAITING),
        }
    }

    /// Runs `job` on a thread, waiting for one if a place is left among `own` and among all.
    ///
    /// Whoever had to wait asks `known` first whether the answer has come meanwhile. A caller that leaves gives back its
    /// place; a thread is given back when its job is done, whoever still wants the answer.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        own: &Semaphore,
        known: impl FnOnce() -> Option<T>,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let threads = Arc::clone(&self.threads);
        let thread = if let Ok(thread) = Arc::clone(&threads).try_acquire_owned() {
            thread
        } else {
            let _own = own.try_acquire().map_err(|_| overloaded())?;
            let _place = self.waiting.try_acquire().map_err(|_| overloaded())?;
            let thread = threads.acquire_owned().await.map_err(|_| failed())?;
            if let Some(answer) = known() {
                return Ok(answer);
            }
            thread
        };
        let done = task::spawn_blocking(move || {
            let _thread = thread;
            job()
        });
        done.await.map_err(|_| failed())
    }

    /// Takes every thread until the value is dropped.
    #[cfg(test)]
    pub(super) fn fill(&self) -> impl Drop + use<> {
        let all = u32::try_from(THREADS).unwrap();
        Arc::clone(&self.threads)
            .try_acquire_many_owned(all)
            .unwrap()
    }
}

fn overloaded() -> Refusal {
    Refusal::new(
        Reason::Overloaded,
        "too many client secrets wait to be checked: try again",
    )
    .retry_after(Duration::from_secs(1))
}

fn failed() -> Refusal {
    Refusal::new(Reason::Internal, "the client's secret could not be checked")
}

#[cfg(test)]
mod tests {
    use std::future::{Future, poll_fn};
    use std::pin::Pin;
    use std::sync::mpsc::{Sender, channel};
    use std::task::Poll;

    use super::*;

    type Running<'a> = Pin<Box<dyn Future<Output = Result<u32, Refusal>> + 'a>>;

    /// A job that ends when the sender is used or dropped.
    fn held<'a>(room: &'a Room, own: &'a Semaphore) -> (Running<'a>, Sender<()>) {
        let (release, held) = channel();
        let job = move || {
            let _ = held.recv();
            1
        };
        (Box::pin(room.run(own, || None, job)), release)
    }

    fn quick<'a>(room: &'a Room, own: &'a Semaphore) -> Running<'a> {
        Box::pin(room.run(own, || None, || 2))
    }

    async fn poll(running: &mut Running<'_>) -> Poll<Result<u32, Refusal>> {
        poll_fn(|context| Poll::Ready(running.as_mut().poll(context))).await
    }

    /// Polls each once; how many of them wait, where the others were refused for want of room.
    async fn waiting(all: &mut [Running<'_>]) -> usize {
        let mut waiting = 0;
        for one in all {
            match poll(one).await {
                Poll::Pending => waiting += 1,
                Poll::Ready(Err(refusal)) => {
                    assert_eq!(refusal.reason, Reason::Overloaded);
                    assert_eq!(refusal.retry_after, Some(Duration::from_secs(1)));
                }
                Poll::Ready(Ok(answer)) => panic!("answered {answer} without a thread"),
            }
        }
        waiting
    }

    #[tokio::test]
    async fn four_of_a_client_and_sixteen_in_all_may_wait() {
        let room = Room::new();
        let owns: Vec<_> = (0..6).map(|_| Semaphore::new(WAITING_PER_CLIENT)).collect();
        let mut held: Vec<_> = (0..THREADS).map(|_| held(&room, &owns[0])).collect();
        for (running, _) in &mut held {
            assert!(poll(running).await.is_pending());
        }
        let queue = |own| (0..6).map(|_| quick(&room, own)).collect::<Vec<_>>();
        let mut queues: Vec<_> = owns.iter().map(queue).collect();
        let mut counts = Vec::new();
        for queue in &mut queues {
            counts.push(waiting(queue).await);
        }
        assert_eq!(counts, [4, 4, 4, 4, 0, 0]);
        // Whoever leaves makes room for another.
        queues[1].clear();
        assert_eq!(waiting(&mut queue(&owns[5])).await, 4);
        for (running, release) in held {
            drop(release);
            assert_eq!(running.await, Ok(1));
        }
        for running in queues.remove(0).into_iter().take(4) {
            assert_eq!(running.await, Ok(2));
        }
    }

    #[tokio::test]
    async fn a_thread_is_free_only_when_its_job_is_done() {
        let room = Room::new();
        let own = Semaphore::new(WAITING_PER_CLIENT);
        let mut releases = Vec::new();
        for _ in 0..THREADS {
            let (mut running, release) = held(&room, &own);
            assert!(poll(&mut running).await.is_pending());
            releases.push(release);
        }
        let mut next = quick(&room, &own);
        assert!(
            poll(&mut next).await.is_pending(),
            "the callers left, their jobs did not"
        );
        releases.pop();
        assert_eq!(next.await, Ok(2));
    }

    #[tokio::test]
    async fn whoever_waited_takes_an_answer_that_is_known() {
        let room = Room::new();
        let own = Semaphore::new(WAITING_PER_CLIENT);
        let mut running: Vec<_> = (0..THREADS).map(|_| held(&room, &own)).collect();
        for (running, _) in &mut running {
            assert!(poll(running).await.is_pending());
        }
        let mut late: Running<'_> = Box::pin(room.run(&own, || Some(3), || panic!("not asked")));
        assert!(poll(&mut late).await.is_pending());
        running.clear();
        assert_eq!(late.await, Ok(3));
        let failed = room
            .run(&own, || None::<u32>, || panic!("on purpose"))
            .await;
        assert_eq!(
            failed.map_err(|refusal| refusal.reason),
            Err(Reason::Internal)
        );
        assert_eq!(quick(&room, &own).await, Ok(2));
    }
}
