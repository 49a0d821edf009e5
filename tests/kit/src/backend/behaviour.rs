//! Scripted misbehaviour: which requests, and what happens to them instead of, or before, the fake's own answer.
//! Decides only; the server in `mod.rs` acts.
//!
//! Called by tests through `Backend::on`, and by `kit-backend` for its `--behaviour` texts.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use tokio::sync::watch;

use super::message::{Answer, Request};

/// A door that a test opens: what waits behind it goes on at once, now and later.
#[derive(Clone, Debug)]
pub struct Gate {
    open: watch::Sender<bool>,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self {
            open: watch::Sender::new(false),
        }
    }

    /// Lets everybody through, for good.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Returns once the gate is open.
    pub async fn passed(&self) {
        let mut open = self.open.subscribe();
        // The sender lives in `self`, so that waiting cannot fail.
        let _ = open.wait_for(|open| *open).await;
    }
}

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// This answer instead of the fake's; the fake does not see the request.
    Answer(Answer),
    /// The fake's own answer, once the gate is open.
    Slow(Gate),
    /// The connection is reset before a byte of the answer.
    ResetBeforeAnswer,
    /// The fake takes the request; the connection is reset in the middle of its answer.
    ResetInAnswer,
    /// No answer for as long as the client waits.
    Never,
    /// The fake takes the request; its answer promises 1 MiB and comes one byte an interval.
    Drip(Duration),
    /// 413 when the decoded body is larger than this, else the fake's own answer.
    TooLargeAbove(usize),
}

impl Behaviour {
    /// A bare status.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Answer(Answer::status(status))
    }

    /// A status with `retry-after` in seconds.
    #[must_use]
    pub fn retry_after_seconds(status: u16, seconds: u64) -> Self {
        Self::Answer(Answer::status(status).with_header("retry-after", &seconds.to_string()))
    }

    /// A status with `retry-after` as an HTTP date.
    #[must_use]
    pub fn retry_after_date(status: u16, date: SystemTime) -> Self {
        Self::Answer(
            Answer::status(status).with_header("retry-after", &httpdate::fmt_http_date(date)),
        )
    }

    /// A redirect that keeps method and body.
    #[must_use]
    pub fn redirect(location: &str) -> Self {
        Self::Answer(Answer::status(307).with_header("location", location))
    }
}

/// A behaviour for some requests. Counting starts at the rule's making, over the requests that match it.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    path: Option<String>,
    text: Option<String>,
    from: usize,
    to: usize,
    seen: usize,
    behaviour: Behaviour,
}

impl Rule {
    /// The behaviour when the rule covers this request; counts it.
    pub(super) fn apply(&mut self, request: &Request) -> Option<Behaviour> {
        let path_fits = self.path.as_ref().is_none_or(|path| *path == request.path);
        let text_fits = self
            .text
            .as_ref()
            .is_none_or(|text| contains(&request.body, text.as_bytes()));
        if !(path_fits && text_fits) {
            return None;
        }
        self.seen += 1;
        (self.from..=self.to)
            .contains(&self.seen)
            .then(|| self.behaviour.clone())
    }
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|window| window == text)
}

/// Which requests a rule covers. The first rule that covers a request decides.
#[derive(Clone, Debug)]
pub struct Which {
    path: Option<String>,
    text: Option<String>,
    from: usize,
    to: usize,
}

impl Default for Which {
    fn default() -> Self {
        Self {
            path: None,
            text: None,
            from: 1,
            to: usize::MAX,
        }
    }
}

impl Which {
    /// Every request.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Only those to this path.
    #[must_use]
    pub fn path(path: &str) -> Self {
        Self {
            path: Some(path.to_owned()),
            ..Self::default()
        }
    }

    /// Only those whose decoded body has this text.
    #[must_use]
    pub fn containing(mut self, text: &str) -> Self {
        self.text = Some(text.to_owned());
        self
    }

    /// Of those, the first `count`.
    #[must_use]
    pub fn first(mut self, count: usize) -> Self {
        self.to = count;
        self
    }

    /// Of those, only the `number`-th, counted from 1.
    #[must_use]
    pub fn nth(mut self, number: usize) -> Self {
        self.from = number;
        self.to = number;
        self
    }

    pub(super) fn rule(self, behaviour: Behaviour) -> Rule {
        Rule {
            path: self.path,
            text: self.text,
            from: self.from,
            to: self.to,
            seen: 0,
            behaviour,
        }
    }
}

/// Reads a behaviour from words: `[path=P] [containing=T] [first=N | nth=N] WHAT`, where `WHAT` is one of `status=N`
/// (with `retry-after=S` beside it if wanted), `reset`, `reset-in-answer`, `never`, `drip=MS`, `too-large-above=BYTES`.
///
/// # Errors
/// When a word is unknown, a number is not one, or what to do is not said.
pub fn parse(text: &str) -> anyhow::Result<(Which, Behaviour)> {
    let mut which = Which::all();
    let mut behaviour = None;
    let mut retry_after = None;
    for word in text.split_whitespace() {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let number = || {
            value
                .parse::<u64>()
                .with_context(|| format!("{key}: {value:?} is not a number"))
        };
        let size = || {
            value
                .parse::<usize>()
                .with_context(|| format!("{key}: {value:?} is not a number"))
        };
        match key {
            "path" => which.path = Some(value.to_owned()),
            "containing" => which = which.containing(value),
            "first" => which = which.first(size()?),
            "nth" => which = which.nth(size()?),
            "retry-after" => retry_after = Some(number()?),
            "status" => {
                let status = value
                    .parse::<u16>()
                    .with_context(|| format!("status: {value:?} is not a status"))?;
                behaviour = Some(Behaviour::status(status));
            }
            "reset" => behaviour = Some(Behaviour::ResetBeforeAnswer),
            "reset-in-answer" => behaviour = Some(Behaviour::ResetInAnswer),
            "never" => behaviour = Some(Behaviour::Never),
            "drip" => behaviour = Some(Behaviour::Drip(Duration::from_millis(number()?))),
            "too-large-above" => behaviour = Some(Behaviour::TooLargeAbove(size()?)),
            _ => bail!("{word:?} is not a word of a behaviour; see kit-backend --help"),
        }
    }
    let mut behaviour = behaviour
        .with_context(|| format!("{text:?} does not say what to do: add status=503, say"))?;
    if let (Some(seconds), Behaviour::Answer(answer)) = (retry_after, &mut behaviour) {
        answer
            .headers
            .push(("retry-after".to_owned(), seconds.to_string()));
    }
    Ok((which, behaviour))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str, body: &'static str) -> Request {
        Request {
            path: path.to_owned(),
            body: body.into(),
            ..Request::default()
        }
    }

    #[test]
    fn a_rule_counts_only_the_requests_that_it_is_about() {
        let mut rule = Which::path("/a")
            .containing("poison")
            .nth(2)
            .rule(Behaviour::Never);
        assert!(rule.apply(&request("/b", "poison")).is_none());
        assert!(rule.apply(&request("/a", "fine")).is_none());
        assert!(rule.apply(&request("/a", "poison 1")).is_none());
        assert!(rule.apply(&request("/a", "poison 2")).is_some());
        assert!(rule.apply(&request("/a", "poison 3")).is_none());
    }

    #[test]
    fn behaviours_read_from_words() {
        let (which, behaviour) = parse("path=/x first=2 status=429 retry-after=7").unwrap();
        let Behaviour::Answer(answer) = behaviour else {
            panic!("not an answer")
        };
        assert_eq!(
            (answer.status, answer.headers),
            (429, vec![("retry-after".to_owned(), "7".to_owned())])
        );
        assert_eq!(
            (which.path.as_deref(), which.from, which.to),
            (Some("/x"), 1, 2)
        );
        assert!(
            parse("path=/x")
                .unwrap_err()
                .to_string()
                .contains("does not say what to do")
        );
        assert!(
            parse("frist=2 never")
                .unwrap_err()
                .to_string()
                .contains("frist=2")
        );
        assert!(
            parse("first=two never")
                .unwrap_err()
                .to_string()
                .contains("two")
        );
    }

    #[tokio::test]
    async fn a_gate_opened_before_the_wait_lets_pass() {
        let gate = Gate::new();
        gate.open();
        gate.passed().await;
    }
}
