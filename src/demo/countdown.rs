//! A call that takes its time: so many steps, one each so often.
//!
//! It is told what time it is and says when it wants to hear that again; it never sleeps. A delay starts when the
//! step before was counted, so that a late step is never followed by a burst.

use std::time::{Duration, Instant};

use super::message::Id;

pub(super) struct Countdown {
    /// Where progress goes; `None` where the client asked for none.
    token: Option<Id>,
    done: u32,
    steps: u32,
    delay: Duration,
    due: Instant,
}

pub(super) enum Step {
    NotYet,
    Counted,
    Finished,
}

impl Countdown {
    pub(super) fn new(token: Option<Id>, steps: u32, delay: Duration, now: Instant) -> Self {
        Self { token, done: 0, steps, delay, due: now + delay }
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// One step, where its time has come.
    pub(super) fn step(&mut self, now: Instant) -> Step {
        if self.done >= self.steps {
            return Step::Finished;
        }
        if now < self.due {
            return Step::NotYet;
        }
        self.done += 1;
        self.due = now + self.delay;
        Step::Counted
    }

    /// The notification of the step just counted. The token is text of the client's, put back as it came.
    pub(super) fn progress(&self, with_message: bool) -> Option<String> {
        let token = self.token.as_ref()?;
        let (done, steps) = (self.done, self.steps);
        let message = match with_message {
            true => format!(r#","message":"{} to go""#, steps.saturating_sub(done)),
            false => String::new(),
        };
        Some(format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{done},"total":{steps}{message}}}}}"#
        ))
    }

    pub(super) fn sentence(&self) -> String {
        format!("counted down {} steps of {} ms", self.steps, self.delay.as_millis())
    }
}
