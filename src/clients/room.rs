//! Room for work that takes long: a few threads, and not many who wait for one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task;

use crate::limits::{Network, Queue};
use crate::oauth::{Reason, Refusal};

const THREADS: usize = 2;
/// How many may wait, and how many of them from one address, so that one that guesses leaves places for others.
const WAITING: usize = 16;
const WAITING_PER_ADDRESS: usize = 4;

/// The places of one client, so that guesses at it leave places for other clients, and those of one address among them,
/// so that the client itself finds one.
const OF_CLIENT: usize = 4;
const OF_CLIENT_PER_ADDRESS: usize = 2;

/// The places of those who wait for the secret of one client.
pub(super) fn of_client() -> Queue {
    Queue::new(OF_CLIENT, OF_CLIENT_PER_ADDRESS)
}

/// The threads and the places of those who wait.
pub(super) struct Room {
    threads: Arc<Semaphore>,
    waiting: Queue,
}

impl Room {
    pub(super) fn new() -> Self {
        Self {
            threads: Arc::new(Semaphore::new(THREADS)),
            waiting: Queue::new(WAITING, WAITING_PER_ADDRESS),
        }
    }

    /// Runs `job` on a thread, waiting for one if a place is left among `own` and among all.
    ///
    /// Whoever had to wait asks `known` first whether the answer has come meanwhile. A caller that leaves gives back its
    /// place; a thread is given back when its job is done, whoever still wants the answer.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        own: &Queue,
        from: Option<Network>,
        known: impl FnOnce() -> Option<T>,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let threads = Arc::clone(&self.threads);
        let thread = if let Ok(thread) = Arc::clone(&threads).try_acquire_owned() {
            thread
        } else {
            let _own = own.enter(from).ok_or_else(overloaded)?;
            let _place = self.waiting.enter(from).ok_or_else(overloaded)?;
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
    fn held<'a>(room: &'a Room, own: &'a Queue) -> (Running<'a>, Sender<()>) {
        let (release, held) = channel();
        let job = move || {
            let _ = held.recv();
            1
        };
        (Box::pin(room.run(own, None, || None, job)), release)
    }

    fn quick<'a>(room: &'a Room, own: &'a Queue) -> Running<'a> {
        Box::pin(room.run(own, None, || None, || 2))
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
        let owns: Vec<_> = (0..6).map(|_| of_client()).collect();
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
        let own = of_client();
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
        let own = of_client();
        let mut running: Vec<_> = (0..THREADS).map(|_| held(&room, &own)).collect();
        for (running, _) in &mut running {
            assert!(poll(running).await.is_pending());
        }
        let mut late: Running<'_> =
            Box::pin(room.run(&own, None, || Some(3), || panic!("not asked")));
        assert!(poll(&mut late).await.is_pending());
        running.clear();
        assert_eq!(late.await, Ok(3));
        let failed = room
            .run(&own, None, || None::<u32>, || panic!("on purpose"))
            .await;
        assert_eq!(
            failed.map_err(|refusal| refusal.reason),
            Err(Reason::Internal)
        );
        assert_eq!(quick(&room, &own).await, Ok(2));
    }

    #[tokio::test]
    async fn guesses_from_one_address_leave_a_place_for_the_client() {
        let room = Room::new();
        let owns: Vec<_> = (0..3).map(|_| of_client()).collect();
        let mut held: Vec<_> = (0..THREADS).map(|_| held(&room, &owns[0])).collect();
        for (running, _) in &mut held {
            assert!(poll(running).await.is_pending());
        }
        let [guessing, own] = [1, 2].map(|number| Some(Network::V4(number)));
        let queue = |places, from| -> Vec<Running<'_>> {
            let one = |_| -> Running<'_> { Box::pin(room.run(places, from, || None, || 2)) };
            (0..6).map(one).collect()
        };
        let mut guesses = queue(&owns[0], guessing);
        assert_eq!(waiting(&mut guesses).await, 2);
        assert_eq!(waiting(&mut queue(&owns[0], own)).await, 2);
        // Nor does it take all places there are by guessing at many clients.
        let mut more = queue(&owns[1], guessing);
        assert_eq!(waiting(&mut more).await, 2);
        assert_eq!(waiting(&mut queue(&owns[2], guessing)).await, 0);
        assert_eq!(waiting(&mut queue(&owns[2], own)).await, 2);
    }
}
