//! The same events a second time. The host sends again whenever it cannot know whether the first time arrived, so a
//! repeat must be the same record to the backend; where the backend cannot tell, there is one write request a call.

use serde_json::Value;

use super::backend::Answer;
use super::events::{Plain, fault, start};
use super::requests::Watch;
use super::scorecard::{Group, Judgement, Scorecard};
use super::sight::{self, Secrets};
use super::subject::{Delivery, Subject};
use crate::plugin::outcome::ItemResult;

pub(super) async fn check(
    subject: &Subject,
    plain: &Plain,
    watch: &mut Watch,
    card: &mut Scorecard,
) {
    let signal = plain.signal;
    let is_idempotent = subject.component.description().idempotent.contains(signal);
    let judgement = twice(subject, plain, is_idempotent, watch).await;
    card.add(Group::Repeats, Some(signal), "same events twice", judgement);
    if !is_idempotent {
        let judgement = writes(subject, plain, watch).await;
        card.add(Group::Repeats, Some(signal), "one write a call", judgement);
    }
}

async fn twice(
    subject: &Subject,
    plain: &Plain,
    is_idempotent: bool,
    watch: &mut Watch,
) -> Judgement {
    if subject.component.is_stateful() {
        return Judgement::pass("not compared: what is added up grows");
    }
    subject.script.play(Answer::Good);
    let secrets = Secrets::of(subject);
    let mut live = match start(subject).await {
        Ok(live) => live,
        Err(judgement) => return judgement,
    };
    let mut sights = Vec::new();
    // What an instance asks for once (a project's id, say) it has after the first time.
    for _ in 0..3 {
        let delivery = live.deliver(plain.signal, &plain.events).await;
        watch.look(subject, plain.signal, &delivery);
        if let Err(error) = &delivery.answer {
            return fault(error);
        }
        sights.push(sight::of_delivery(&delivery, &secrets));
    }
    let [_, first, second] = sights.as_slice() else {
        return Judgement::pass("nothing was sent");
    };
    compare(first, second, is_idempotent)
}

fn compare(first: &Value, second: &Value, is_idempotent: bool) -> Judgement {
    let paths = sight::differences(first, second);
    if paths.is_empty() {
        return Judgement::pass("the same requests");
    }
    let ids: Vec<&str> = paths
        .iter()
        .map(String::as_str)
        .filter(|path| is_id(path))
        .collect();
    if is_idempotent && !ids.is_empty() {
        return Judgement::fail(
            format!(
                "ids differ at {}: a repeat would be a second record",
                ids.join(", ")
            ),
            "derive ids from the event's ids, or leave the signal out of `idempotent`",
        );
    }
    let found = format!("differs at {}", paths.join(", "));
    if is_idempotent {
        return Judgement::warn(
            found,
            "see that the backend knows the record again although this differs",
        );
    }
    Judgement::pass(format!("{found}; the signal is not declared idempotent"))
}

/// Whether the last name of the path reads like that of an id.
fn is_id(path: &str) -> bool {
    let name = path.rsplit(['.', ']']).next().unwrap_or_default();
    let lower = name.to_ascii_lowercase();
    let ends = ["_id", "-id", "uuid", "_key", "-key"];
    lower == "id"
        || name.ends_with("Id")
        || name.ends_with("ID")
        || ends.iter().any(|end| lower.ends_with(end))
}

/// The contract: a signal that is not idempotent makes one write request a call.
async fn writes(subject: &Subject, plain: &Plain, watch: &mut Watch) -> Judgement {
    subject.script.play(Answer::Good);
    let mut live = match start(subject).await {
        Ok(live) => live,
        Err(judgement) => return judgement,
    };
    // What an instance asks for once (a project's id, say) it has after the first time.
    live.deliver(plain.signal, &plain.events).await;
    let delivery = live.deliver(plain.signal, &plain.events).await;
    watch.look(subject, plain.signal, &delivery);
    let count = written(&delivery);
    if count < 2 {
        return Judgement::pass("at most one");
    }
    // Nothing is doubled as long as each item is in one of them and has a fate of its own.
    subject.script.play(Answer::GoodOnce);
    let delivery = live.deliver(plain.signal, &plain.events).await;
    subject.script.play(Answer::Good);
    if let Ok(answered) = &delivery.answer
        && answered.has(|fate| *fate == ItemResult::Delivered)
        && answered.has(|fate| matches!(fate, ItemResult::Retry(_)))
    {
        return Judgement::pass(format!(
            "{count} write requests; when one has no answer, what the others carried stays delivered"
        ));
    }
    Judgement::warn(
        format!(
            "{count} write requests: when one has no answer, that counts for all that is to be retried"
        ),
        "make one write a call, tell the items of each apart, or list the signal in `idempotent` if the backend knows repeats",
    )
}

fn written(delivery: &Delivery) -> usize {
    let requests = delivery.requests.iter();
    requests.filter(|request| request.verb != "GET").count()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::scorecard::Verdict;
    use super::*;

    #[test]
    fn ids_are_known_by_their_names() {
        for path in [
            "a.id",
            "requests[0].body.traceId",
            "x.event_uuid",
            "headers.idempotency-key",
        ] {
            assert!(is_id(path), "{path}");
        }
        for path in ["a.sent_at", "a.valid", "requests[0]", "a.grid", "a.key"] {
            assert!(!is_id(path), "{path}");
        }
    }

    #[test]
    fn another_id_is_worse_than_another_time() {
        let sent = |id: u32, at: u32| json!({"requests": [{"body": {"id": id, "sent_at": at}}]});
        let verdict =
            |other: &Value, is_idempotent| compare(&sent(1, 1), other, is_idempotent).verdict;
        assert_eq!(verdict(&sent(1, 1), true), Verdict::Passed);
        assert_eq!(verdict(&sent(1, 2), true), Verdict::Warned);
        assert_eq!(verdict(&sent(2, 1), true), Verdict::Failed);
        assert_eq!(verdict(&sent(2, 1), false), Verdict::Passed);
    }
}
