//! What the component answers to each reply of the backend.
//!
//! Failed is what loses or doubles events whatever the backend is: `delivered` when it refused everything, `rejected` when
//! it could not be reached, a wait that it asked for and did not get. Where vendors differ (OTLP holds 408 and 500 to be
//! final, say) it is a warning.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::backend::Answer;
use super::events::{Plain, fault, start, words};
use super::requests::Watch;
use super::scorecard::{Group, Judgement, Scorecard};
use super::subject::{Answered, Delivery, Subject};
use crate::http::message::HttpError;
use crate::http::wire::{WireBody, WireResponse};
use crate::plugin::outcome::{CallError, ItemResult, SendOutcome};

/// Asked for in seconds.
const WAIT: Duration = Duration::from_secs(7);
/// Asked for as a date. The clock goes on between question and answer.
const DATE_WAIT: Duration = Duration::from_secs(120);
/// Whole seconds, and a slow machine.
const DATE_TOLERANCE: Duration = Duration::from_secs(60);
/// More than a response may have.
const TOO_MANY_BYTES: usize = 9 << 20;

pub(super) async fn check(
    subject: &Subject,
    plain: &Plain,
    watch: &mut Watch,
    card: &mut Scorecard,
) {
    for case in cases() {
        let mut live = match start(subject).await {
            Ok(live) => live,
            Err(judgement) => {
                card.add(Group::Replies, Some(plain.signal), case.name, judgement);
                continue;
            }
        };
        // What an instance asks for once (a project's id, say) it has by then.
        subject.script.play(Answer::Good);
        live.deliver(plain.signal, &plain.events).await;
        subject.script.play(case.answer.clone());
        let mut delivery = live.deliver(plain.signal, &plain.events).await;
        let is_refused = matches!(case.wants, Wants::Unauthorized | Wants::Forbidden);
        if is_refused && delivery.is_retried_by_a_flush() {
            // A flush has no word for refused credentials: the next `send` is to say it.
            delivery = live.deliver(plain.signal, &plain.events).await;
        }
        subject.script.play(Answer::Good);
        watch.look(subject, plain.signal, &delivery);
        let judgement = judge(&case, &delivery, plain);
        card.add(Group::Replies, Some(plain.signal), case.name, judgement);
    }
}

struct Case {
    name: &'static str,
    answer: Answer,
    wants: Wants,
}

/// What a reply means for the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    /// They are stored.
    Delivered,
    /// It depends; only a fault is wrong.
    Anything,
    /// Not stored, and will not be as they are.
    NotDelivered,
    /// Not stored because of one of them.
    Split,
    /// The batch is too big.
    Smaller,
    /// The credentials are refused, which is sure.
    Unauthorized,
    /// The credentials are refused, or something else is.
    Forbidden,
    /// Not stored now.
    Retry,
    /// Not stored now; some vendors say never.
    LikelyRetry,
    /// Not stored now, and not before this has passed.
    RetryAfter(Duration),
}

fn cases() -> Vec<Case> {
    let case = |name, answer, wants| Case {
        name,
        answer,
        wants,
    };
    let status = |status| Answer::Reply(reply(status, &[], "{}"));
    let waiting = |status, wait: &str| Answer::Reply(reply(status, &[("retry-after", wait)], "{}"));
    let broken = |text: &str| Answer::Fails(HttpError::Interrupted(text.to_owned()));
    let date = httpdate::fmt_http_date(SystemTime::now() + DATE_WAIT);
    let page = [("content-type", "text/html")];
    let login = Answer::Reply(reply(200, &page, "<html>please log in</html>"));
    let elsewhere = [("location", "https://elsewhere.example/login")];
    let dripping = Answer::Reply(WireResponse {
        body: WireBody::Dripping {
            every: Duration::from_secs(1),
        },
        ..reply(200, &[], "")
    });
    let unreachable = HttpError::Unreachable("connection refused".to_owned());
    vec![
        case(
            "204 without a body",
            Answer::Reply(reply(204, &[], "")),
            Wants::Delivered,
        ),
        case("200 with a page for people", login, Wants::Anything),
        case("207", status(207), Wants::Anything),
        case(
            "302 to another host",
            Answer::Reply(reply(302, &elsewhere, "")),
            Wants::NotDelivered,
        ),
        case("400", status(400), Wants::Split),
        case("401", status(401), Wants::Unauthorized),
        case("403", status(403), Wants::Forbidden),
        case("404", status(404), Wants::NotDelivered),
        case("408", status(408), Wants::LikelyRetry),
        case("413", status(413), Wants::Smaller),
        case("429", status(429), Wants::Retry),
        case(
            "429 with retry-after in seconds",
            waiting(429, "7"),
            Wants::RetryAfter(WAIT),
        ),
        case(
            "429 with retry-after as a date",
            waiting(429, &date),
            Wants::RetryAfter(DATE_WAIT),
        ),
        case("500", status(500), Wants::LikelyRetry),
        case("503", status(503), Wants::Retry),
        case(
            "503 with retry-after",
            waiting(503, "7"),
            Wants::RetryAfter(WAIT),
        ),
        case("no connection", Answer::Fails(unreachable), Wants::Retry),
        case("connection reset", broken("connection reset"), Wants::Retry),
        case("no answer in time", Answer::Silent, Wants::Retry),
        case("a body that drips for ever", dripping, Wants::Retry),
        case(
            "a body that is too large",
            Answer::Reply(reply(200, &[], &" ".repeat(TOO_MANY_BYTES))),
            Wants::Anything,
        ),
    ]
}

fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> WireResponse {
    let mut all = Vec::new();
    if !headers.iter().any(|(name, _)| *name == "content-type") && !body.is_empty() {
        all.push(("content-type".to_owned(), "application/json".to_owned()));
    }
    let headers = headers.iter();
    all.extend(headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    WireResponse {
        status,
        headers: all,
        body: WireBody::Whole(Bytes::copy_from_slice(body.as_bytes())),
    }
}

fn judge(case: &Case, delivery: &Delivery, plain: &Plain) -> Judgement {
    let answer = match &delivery.answer {
        Ok(answer) => answer,
        Err(error @ CallError::WallTimeout(_)) => {
            let Judgement { found, fix, .. } = fault(error);
            return Judgement::warn(found, fix.unwrap_or_default());
        }
        Err(error) => return fault(error),
    };
    let refused_each = delivery.requests.len() >= plain.events.len();
    Reading::of(answer).judge(case.wants, answer, refused_each)
}

/// The answer, as far as a judgement asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    delivers: bool,
    retries: bool,
    rejects: bool,
    splits: bool,
    unauthorized: bool,
}

impl Reading {
    fn of(answer: &Answered) -> Self {
        let any = |wanted: fn(&ItemResult) -> bool| answer.fates.iter().any(wanted);
        let outcome = &answer.outcome;
        // There was something to send, so that these are as lost as if they had been rejected.
        let skips = |fate: &ItemResult| matches!(fate, ItemResult::Skipped(_));
        let skips_all = !answer.fates.is_empty() && answer.fates.iter().all(skips);
        Self {
            delivers: any(|fate| *fate == ItemResult::Delivered)
                || matches!(outcome, SendOutcome::Partial { .. }),
            // What is still held comes again, too.
            retries: any(|fate| matches!(fate, ItemResult::Retry(_) | ItemResult::Held)),
            rejects: any(|fate| matches!(fate, ItemResult::Rejected(_))) || skips_all,
            splits: matches!(outcome, SendOutcome::TooLarge | SendOutcome::Isolate(_)),
            unauthorized: matches!(outcome, SendOutcome::Unauthorized(_)),
        }
    }

    fn judge(self, wants: Wants, answer: &Answered, refused_each: bool) -> Judgement {
        let said = words(answer);
        let fail = |why: &str, fix: &str| Judgement::fail(format!("answered {said}: {why}"), fix);
        let warn = |why: &str, fix: &str| Judgement::warn(format!("answered {said}: {why}"), fix);
        let pass = Judgement::pass(format!("answered {said}"));
        if self.delivers && !matches!(wants, Wants::Delivered | Wants::Anything) {
            return fail(
                "the backend took nothing, the events would be lost",
                "read the status of every reply before you answer `delivered`",
            );
        }
        match wants {
            Wants::Anything | Wants::NotDelivered => pass,
            Wants::Delivered
                if self.retries || self.rejects || self.splits || self.unauthorized =>
            {
                warn(
                    "a success without a body is a success to most backends",
                    "answer `delivered`, unless yours always says more",
                )
            }
            Wants::Delivered => pass,
            Wants::Split if self.retries => warn(
                "a bad request stays bad, it would be sent for ever",
                "answer `isolate` (the host finds the bad event) or `rejected`",
            ),
            Wants::Split if self.unauthorized => warn(
                "the exporter would pause for one bad event",
                "answer `isolate` or `rejected`, unless the backend says 400 to bad credentials",
            ),
            Wants::Split => pass,
            Wants::Smaller if self.splits || (self.rejects && refused_each) => pass,
            Wants::Smaller if self.rejects => fail(
                "all events would be lost because they came together",
                "answer `too-large`: the host halves the batch",
            ),
            Wants::Smaller if self.unauthorized => warn(
                "the exporter would pause for one large batch",
                "answer `too-large`: the host halves the batch",
            ),
            Wants::Smaller => fail(
                "the same batch would be sent for ever",
                "answer `too-large`: the host halves the batch",
            ),
            Wants::Unauthorized | Wants::Forbidden => self.judge_credentials(wants, &said),
            Wants::Retry | Wants::LikelyRetry => self.judge_retry(wants, &said),
            Wants::RetryAfter(wait) => self.judge_wait(wait, answer, &said),
        }
    }

    fn judge_credentials(self, wants: Wants, said: &str) -> Judgement {
        const FIX: &str =
            "answer `unauthorized`: the exporter pauses, the operator is told, nothing is lost";
        let found = |why: &str| format!("answered {said}: {why}");
        if self.unauthorized {
            Judgement::pass(format!("answered {said}"))
        } else if self.retries {
            Judgement::warn(found("nothing is lost, but nobody is told"), FIX)
        } else if wants == Wants::Forbidden {
            Judgement::warn(found("a wrong key would cost the events"), FIX)
        } else {
            Judgement::fail(found("a wrong key would cost the events"), FIX)
        }
    }

    fn judge_retry(self, wants: Wants, said: &str) -> Judgement {
        const FIX: &str = "answer `retry`";
        let found = |why: &str| format!("answered {said}: {why}");
        if self.rejects && wants == Wants::LikelyRetry {
            let fix = "answer `retry`, unless this backend means it for good";
            return Judgement::warn(found("the events would be lost"), fix);
        }
        if self.rejects {
            return Judgement::fail(
                found("the events would be lost though nothing is wrong with them"),
                FIX,
            );
        }
        if self.unauthorized || self.splits {
            return Judgement::warn(found("nothing is wrong with the events or the key"), FIX);
        }
        Judgement::pass(format!("answered {said}"))
    }

    fn judge_wait(self, wait: Duration, answer: &Answered, said: &str) -> Judgement {
        let judgement = self.judge_retry(Wants::Retry, said);
        // A flush has no place for a wait.
        if judgement.fix.is_some() || answer.was_held {
            return judgement;
        }
        let asked = wait.as_secs();
        let fix = "pass the wait on in `not-before`: `response.retry-after` of `http` has it read already";
        match answer.not_before {
            None => Judgement::fail(
                format!("answered {said} without `not-before`: the backend asked for {asked} s"),
                fix,
            ),
            Some(delay) if is_about(delay.wait, wait) => {
                let seconds = delay.wait.as_secs();
                Judgement::pass(format!(
                    "answered {said}, not before {seconds} s have passed"
                ))
            }
            Some(delay) => Judgement::fail(
                format!(
                    "asked for {} s, the backend for {asked} s",
                    delay.wait.as_secs()
                ),
                fix,
            ),
        }
    }
}

/// A wait in seconds is passed on as it is; until a date it is shorter each moment.
fn is_about(found: Duration, wanted: Duration) -> bool {
    if wanted == WAIT {
        return found == wanted;
    }
    found <= wanted && found + DATE_TOLERANCE >= wanted
}

#[cfg(test)]
mod tests {
    use super::super::scorecard::Verdict::{self, Failed, Passed, Warned};
    use super::*;
    use crate::plugin::outcome::NotBefore;

    fn answered(outcome: SendOutcome) -> Answered {
        let fates = match &outcome {
            SendOutcome::AllItems(fate) => vec![fate.clone(); 3],
            SendOutcome::PerItem(fates) => fates.clone(),
            _ => Vec::new(),
        };
        Answered {
            outcome,
            fates,
            not_before: None,
            was_held: false,
            has_foreign_tokens: false,
        }
    }

    fn verdict(wants: Wants, answer: &Answered) -> Verdict {
        Reading::of(answer).judge(wants, answer, false).verdict
    }

    fn all(fate: ItemResult) -> Answered {
        answered(SendOutcome::AllItems(fate))
    }

    fn retry() -> ItemResult {
        ItemResult::Retry("r".to_owned())
    }

    #[test]
    fn delivered_is_a_lie_when_everything_was_refused() {
        let one_of_three = vec![retry(), ItemResult::Delivered, retry()];
        for answer in [
            all(ItemResult::Delivered),
            answered(SendOutcome::PerItem(one_of_three)),
        ] {
            for case in cases() {
                let honest = matches!(case.wants, Wants::Delivered | Wants::Anything);
                let is_failed = verdict(case.wants, &answer) == Failed;
                assert_eq!(is_failed, !honest, "{}", case.name);
            }
        }
    }

    #[test]
    fn each_reply_has_its_answer() {
        let rejected = || all(ItemResult::Rejected("r".to_owned()));
        let retry = || all(retry());
        let isolate = || answered(SendOutcome::Isolate("r".to_owned()));
        let unauthorized = || answered(SendOutcome::Unauthorized("r".to_owned()));
        let too_large = || answered(SendOutcome::TooLarge);
        for (wants, answer, verdict_wanted) in [
            (Wants::Split, isolate(), Passed),
            (Wants::Split, rejected(), Passed),
            (Wants::Split, retry(), Warned),
            (Wants::Smaller, too_large(), Passed),
            (Wants::Smaller, rejected(), Failed),
            (Wants::Smaller, retry(), Failed),
            (Wants::Smaller, unauthorized(), Warned),
            (Wants::Unauthorized, unauthorized(), Passed),
            (Wants::Unauthorized, rejected(), Failed),
            (Wants::Unauthorized, isolate(), Failed),
            (Wants::Unauthorized, retry(), Warned),
            (Wants::Forbidden, rejected(), Warned),
            (Wants::LikelyRetry, rejected(), Warned),
            (Wants::LikelyRetry, retry(), Passed),
            (Wants::Retry, rejected(), Failed),
            (Wants::Retry, unauthorized(), Warned),
            (Wants::Delivered, retry(), Warned),
            (
                Wants::Retry,
                all(ItemResult::Skipped("r".to_owned())),
                Failed,
            ),
        ] {
            assert_eq!(
                verdict(wants, &answer),
                verdict_wanted,
                "{wants:?} {answer:?}"
            );
        }
    }

    #[test]
    fn an_item_that_is_a_request_of_its_own_may_be_too_large_for_good() {
        let rejected = all(ItemResult::Rejected("r".to_owned()));
        let judgement = Reading::of(&rejected).judge(Wants::Smaller, &rejected, true);
        assert_eq!(judgement.verdict, Passed);
    }

    #[test]
    fn a_wait_that_was_asked_for_is_passed_on() {
        let after = |wait: Option<u64>| Answered {
            not_before: wait.map(|seconds| NotBefore {
                whole_exporter: false,
                wait: Duration::from_secs(seconds),
            }),
            ..all(retry())
        };
        assert_eq!(verdict(Wants::RetryAfter(WAIT), &after(Some(7))), Passed);
        for wrong in [None, Some(1), Some(7000)] {
            assert_eq!(verdict(Wants::RetryAfter(WAIT), &after(wrong)), Failed);
        }
        for (seconds, wanted) in [(119, Passed), (121, Failed), (30, Failed)] {
            let answer = after(Some(seconds));
            assert_eq!(
                verdict(Wants::RetryAfter(DATE_WAIT), &answer),
                wanted,
                "{seconds}"
            );
        }
        let held = Answered {
            was_held: true,
            ..after(None)
        };
        assert_eq!(verdict(Wants::RetryAfter(WAIT), &held), Passed);
    }
}
