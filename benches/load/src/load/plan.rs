//! When calls are due.
//!
//! Owns how many have been handed out. At a rate, the time of each call is fixed before the first one is sent, and it is
//! handed out as that time: whoever comes late for it counts from then. Without a rate, a call is due when somebody is free.

use super::Failure;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Semaphore, TryAcquireError};

/// One course of calls.
#[derive(Debug)]
pub struct Plan {
    start: Instant,
    pace: Pace,
    taken: AtomicU64,
}

#[derive(Debug)]
enum Pace {
    Calls(u64),
    Until(Instant),
    Rate {
        rate: f64,
        calls: u64,
        /// A permit for each call that is due and that nobody took.
        due: Semaphore,
    },
}

/// Whether to call now.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// Latency counts from here.
    Due(Instant),
    Wait,
    Over,
}

impl Plan {
    pub fn calls(calls: u64) -> Self {
        Self::new(Pace::Calls(calls))
    }

    pub fn seconds(time: Duration) -> Self {
        let mut plan = Self::new(Pace::Calls(0));
        plan.pace = Pace::Until(plan.start + time);
        plan
    }

    pub fn rate(rate: f64, calls: u64) -> Self {
        Self::new(Pace::Rate { rate, calls, due: Semaphore::new(0) })
    }

    fn new(pace: Pace) -> Self {
        Self { start: Instant::now(), pace, taken: AtomicU64::new(0) }
    }

    /// The next call, if it is due by now.
    pub fn try_turn(&self, now: Instant) -> Turn {
        match &self.pace {
            Pace::Calls(calls) => {
                if self.taken.fetch_add(1, Ordering::Relaxed) < *calls {
                    Turn::Due(now)
                } else {
                    Turn::Over
                }
            }
            Pace::Until(end) => {
                if now < *end {
                    Turn::Due(now)
                } else {
                    Turn::Over
                }
            }
            Pace::Rate { due, .. } => match due.try_acquire() {
                Ok(permit) => {
                    permit.forget();
                    self.take()
                }
                Err(TryAcquireError::NoPermits) => Turn::Wait,
                Err(TryAcquireError::Closed) => Turn::Over,
            },
        }
    }

    /// The next call, when it is due. Dropping it takes none.
    pub async fn turn(&self) -> Turn {
        let Pace::Rate { due, .. } = &self.pace else { return self.try_turn(Instant::now()) };
        match due.acquire().await {
            Ok(permit) => {
                permit.forget();
                self.take()
            }
            Err(_) => Turn::Over,
        }
    }

    /// Hands out what is due until all is, and then to each of `askers` that there is no more. Ends at once without a rate.
    pub async fn pace(&self, askers: usize) -> Result<(), Failure> {
        let Pace::Rate { rate, calls, due } = &self.pace else { return Ok(()) };
        let timer = Timer::new()?;
        let mut released = 0;
        while released < *calls {
            let count = due_count(*rate, self.start.elapsed()).min(*calls);
            due.add_permits(usize::try_from(count - released).unwrap_or(0));
            released = count;
            let next = self.start + due_after(*rate, released);
            let pause = next.saturating_duration_since(Instant::now());
            if released < *calls && !pause.is_zero() {
                timer.wait(pause).await?;
            }
        }
        due.add_permits(askers);
        Ok(())
    }

    fn take(&self) -> Turn {
        let Pace::Rate { rate, calls, .. } = &self.pace else { return Turn::Over };
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        if number < *calls { Turn::Due(self.start + due_after(*rate, number)) } else { Turn::Over }
    }
}

/// How long after the start call `number`, counted from 0, is due.
fn due_after(rate: f64, number: u64) -> Duration {
    Duration::from_secs_f64(number as f64 / rate)
}

/// How many calls are due when so much time has passed.
fn due_count(rate: f64, passed: Duration) -> u64 {
    let mut count = (passed.as_secs_f64() * rate) as u64;
    // Where the product is rounded, the times that are handed out decide.
    while due_after(rate, count) <= passed {
        count += 1;
    }
    count
}

/// A timer of nanoseconds: that of tokio is rounded up to a millisecond.
struct Timer {
    descriptor: AsyncFd<OwnedFd>,
}

impl Timer {
    #[expect(
        deprecated,
        reason = "its successor is unsafe, because not everything owns its descriptor as this does"
    )]
    fn new() -> Result<Self, Failure> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let descriptor = timerfd_create(TimerfdClockId::Monotonic, flags).map_err(std::io::Error::from)?;
        Ok(Self { descriptor: AsyncFd::with_interest(descriptor, Interest::READABLE)? })
    }

    async fn wait(&self, pause: Duration) -> Result<(), Failure> {
        let once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec {
            tv_sec: i64::try_from(pause.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(pause.subsec_nanos()),
        };
        let setting = Itimerspec { it_interval: once, it_value: value };
        timerfd_settime(self.descriptor.get_ref(), TimerfdTimerFlags::empty(), &setting)
            .map_err(std::io::Error::from)?;
        loop {
            let mut ready = self.descriptor.readable().await?;
            let read = ready.try_io(|descriptor| {
                let mut count = [0_u8; 8];
                Ok(rustix::io::read(descriptor.get_ref(), &mut count)?)
            });
            if let Ok(read) = read {
                read?;
                // Else the next wait would begin with a read in vain.
                ready.clear_ready();
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_fixed_and_counted_as_they_are_handed_out() {
        for rate in [0.5, 3.0, 1000.0, 33_333.3, 1e6] {
            for number in [0, 1, 2, 7, 1000, 123_457] {
                let due = due_after(rate, number);
                assert_eq!(due_count(rate, due), number + 1, "{rate} {number}");
                if let Some(before) = due.checked_sub(Duration::from_nanos(1)) {
                    assert_eq!(due_count(rate, before), number, "{rate} {number}");
                }
            }
        }
    }

    #[test]
    fn without_a_rate_there_are_as_many_as_were_asked_for() {
        let plan = Plan::calls(2);
        let now = Instant::now();
        assert_eq!(
            [(); 4].map(|()| plan.try_turn(now)),
            [Turn::Due(now), Turn::Due(now), Turn::Over, Turn::Over]
        );
        let plan = Plan::seconds(Duration::from_secs(1));
        let (first, last) = (plan.start, plan.start + Duration::from_secs(1));
        assert_eq!(plan.try_turn(first), Turn::Due(first));
        assert_eq!(plan.try_turn(last), Turn::Over);
    }

    #[tokio::test]
    async fn whoever_comes_late_is_told_when_it_was_due() {
        let plan = Plan::rate(10_000.0, 30);
        assert_eq!(plan.try_turn(Instant::now()), Turn::Wait);
        plan.pace(2).await.unwrap();
        assert!(plan.start.elapsed() >= due_after(10_000.0, 29));
        for number in 0..30 {
            assert_eq!(plan.turn().await, Turn::Due(plan.start + due_after(10_000.0, number)));
        }
        assert_eq!(plan.turn().await, Turn::Over);
        assert_eq!(plan.try_turn(Instant::now()), Turn::Over);
    }
}
