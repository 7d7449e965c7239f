//! A run: sessions are opened, warmed up, measured, and closed.
//!
//! Owns the order of these, and what is read before and after. The warm-up is answered before the clock starts.

use super::Failure;
use super::args::{Ask, Era, Run};
use super::book::SLOTS_MAX;
use super::endpoint::Endpoint;
use super::plan::Plan;
use super::processes::{Reading, Trees, tick_nanos};
use super::report::{Report, Used};
use super::shared::Shared;
use super::stdio::Pipe;
use super::{http, sse};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Everyone who calls, over one of the transports.
enum Crew {
    Stdio(Vec<Pipe>),
    Http(Vec<http::Slot>),
    Sse(Vec<sse::Session>, Vec<sse::Slot>),
}

pub async fn run(run: Run) -> Result<Report, Failure> {
    check(&run)?;
    let shared = Arc::new(Shared::new(&run));
    let crew = Crew::open(&shared, &run).await?;
    let mut roots = run.pids.clone();
    roots.extend(crew.children());
    let trees = Trees::new(roots, run.excluded.clone());

    let crew = crew.run(Plan::calls(run.warmup)).await?;
    let warmup = shared.take_tally();

    let (before, own_before) = (trees.read()?, Reading::own()?);
    let start = Instant::now();
    let crew = crew.run(plan(&run)).await?;
    let seconds = start.elapsed().as_secs_f64();
    let (own_after, after) = (Reading::own()?, trees.read());

    let crew = crew.linger().await;
    let tally = shared.take_tally();
    crew.close().await;
    let after = after?;
    let is_counted = !trees.is_empty();
    let tick = tick_nanos();
    let used = Used {
        seconds,
        cpu_nanos: is_counted.then(|| after.nanos_since(&before, tick)),
        own_cpu_nanos: own_after.nanos_since(&own_before, tick),
        rss_kib: is_counted.then_some(after.rss_kib),
    };
    Ok(Report::new(warmup, tally, &used))
}

fn check(run: &Run) -> Result<(), Failure> {
    let slots = run.in_flight as u64;
    if run.sessions == 0 || slots == 0 || slots > SLOTS_MAX {
        return Err(Failure::new(format!(
            "one session and one call at least, and {SLOTS_MAX} calls at most"
        )));
    }
    if run.rate.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) {
        return Err(Failure::new("a rate is more than nothing"));
    }
    let is_time = |time: f64| time.is_finite() && (0.0..=86_400.0).contains(&time);
    if !is_time(run.patience) || !run.seconds.is_none_or(is_time) {
        return Err(Failure::new("times are from nothing to a day"));
    }
    if run.target.http.is_none() && run.sessions > run.in_flight {
        return Err(Failure::new("over stdio and HTTP+SSE there are no more sessions than calls in flight"));
    }
    if run.target.sse.is_some() && run.era == Era::Modern {
        return Err(Failure::new("HTTP+SSE is older than requests without a handshake"));
    }
    if run.method == Ask::List && run.notes > 0 {
        return Err(Failure::new("a list has no notes"));
    }
    Ok(())
}

fn plan(run: &Run) -> Plan {
    match (run.rate, run.calls, run.seconds) {
        (Some(rate), Some(calls), _) => Plan::rate(rate, calls),
        (Some(rate), None, seconds) => Plan::rate(rate, (rate * seconds.unwrap_or(0.0)) as u64),
        (None, Some(calls), _) => Plan::calls(calls),
        (None, None, seconds) => Plan::seconds(Duration::from_secs_f64(seconds.unwrap_or(0.0))),
    }
}

/// How many calls session `number` of all has open.
fn share(in_flight: usize, sessions: usize, number: usize) -> usize {
    in_flight / sessions + usize::from(number < in_flight % sessions)
}

impl Crew {
    async fn open(shared: &Arc<Shared>, run: &Run) -> Result<Self, Failure> {
        let numbers = 0..run.sessions;
        if let Some(line) = &run.target.stdio {
            let mut pipes = Vec::new();
            for number in numbers {
                let in_flight = share(run.in_flight, run.sessions, number);
                pipes.push(Pipe::open(shared.clone(), line, run.era, number as u64, in_flight).await?);
            }
            return Ok(Self::Stdio(pipes));
        }
        if let Some(url) = &run.target.sse {
            let endpoint = Endpoint::parse(url, &run.headers)?;
            let (mut sessions, mut slots) = (Vec::new(), Vec::new());
            for number in numbers {
                let in_flight = share(run.in_flight, run.sessions, number);
                let opened = sse::Session::open(shared.clone(), &endpoint, number as u64, in_flight).await?;
                sessions.push(opened.0);
                slots.extend(opened.1);
            }
            return Ok(Self::Sse(sessions, slots));
        }
        let url = run.target.http.as_deref().unwrap_or_default();
        let endpoint = Arc::new(Endpoint::parse(url, &run.headers)?);
        let mut sessions = Vec::new();
        for number in numbers {
            sessions.push(http::Session::open(shared, &endpoint, run, number as u64).await?);
        }
        let slots = (0..run.in_flight).map(|number| {
            let first = number % run.sessions;
            let lent = sessions.iter().skip(first).step_by(run.in_flight).cloned().collect();
            http::Slot::new(shared.clone(), endpoint.clone(), lent, number)
        });
        Ok(Self::Http(slots.collect()))
    }

    fn children(&self) -> Vec<u32> {
        match self {
            Self::Stdio(pipes) => pipes.iter().filter_map(Pipe::pid).collect(),
            Self::Http(_) | Self::Sse(..) => Vec::new(),
        }
    }

    async fn run(self, plan: Plan) -> Result<Self, Failure> {
        let plan = Arc::new(plan);
        Ok(match self {
            Self::Stdio(pipes) => Self::Stdio(all(&plan, pipes, Pipe::run).await?),
            Self::Http(slots) => Self::Http(all(&plan, slots, http::Slot::run).await?),
            Self::Sse(sessions, slots) => Self::Sse(sessions, all(&plan, slots, sse::Slot::run).await?),
        })
    }

    /// Leaves a moment for what comes though nobody asked for it.
    async fn linger(self) -> Self {
        match self {
            Self::Stdio(pipes) => {
                let mut lingered = Vec::new();
                for pipe in pipes {
                    lingered.push(pipe.linger(LINGER).await);
                }
                Self::Stdio(lingered)
            }
            Self::Sse(sessions, slots) => {
                sleep(LINGER).await;
                Self::Sse(sessions, slots)
            }
            // There everything that comes, comes with an answer.
            Self::Http(slots) => Self::Http(slots),
        }
    }

    async fn close(self) {
        match self {
            Self::Stdio(pipes) => {
                for pipe in pipes {
                    pipe.close().await;
                }
            }
            Self::Sse(sessions, _) => sessions.into_iter().for_each(sse::Session::close),
            Self::Http(_) => {}
        }
    }
}

/// Lets all of them call by one plan, each in a task of its own.
async fn all<T, F>(
    plan: &Arc<Plan>,
    clients: Vec<T>,
    run: impl Fn(T, Arc<Plan>) -> F,
) -> Result<Vec<T>, Failure>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let askers = clients.len();
    let own = plan.clone();
    let pacing = tokio::spawn(async move { own.pace(askers).await });
    let tasks: Vec<_> = clients.into_iter().map(|client| tokio::spawn(run(client, plan.clone()))).collect();
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.map_err(|error| Failure::new(error.to_string()))?);
    }
    if !pacing.is_finished() {
        pacing.abort();
        return Ok(done);
    }
    pacing.await.map_err(|error| Failure::new(error.to_string()))??;
    Ok(done)
}

const LINGER: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_in_flight_are_shared_out_without_a_rest() {
        for (in_flight, sessions) in [(1, 1), (64, 8), (10, 3), (5, 5)] {
            let shares: Vec<usize> = (0..sessions).map(|number| share(in_flight, sessions, number)).collect();
            assert_eq!(shares.iter().sum::<usize>(), in_flight);
            assert!(shares.iter().all(|share| *share > 0 && share - shares[sessions - 1] <= 1));
        }
    }
}
