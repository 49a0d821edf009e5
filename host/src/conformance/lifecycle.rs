//! From `configure` to `shutdown`, in ways that the host uses rarely or never, but may.

use serde_json::Value;
use url::Url;

use super::backend::Answer;
use super::fixtures;
use super::scorecard::{Group, Judgement, Scorecard};
use super::subject::Subject;
use crate::event::signal_set::SignalSet;
use crate::http::grant::HostRequest;
use crate::plugin::page::PageRequest;
use crate::plugin::{StartError, Trial};

pub(super) async fn check(subject: &Subject, chosen: SignalSet, card: &mut Scorecard) {
    let mut add = |name: &str, judgement| card.add(Group::Lifecycle, None, name, judgement);
    match subject.start().await {
        Ok(_) => add("configured", Judgement::pass("takes its settings")),
        Err(error) => {
            let fix = "fix this first: nothing else can be tried";
            return add("configured", Judgement::fail(told(&error), fix));
        }
    }
    add("configured twice", twice(subject).await);
    for (name, settings) in [
        ("configured with nothing", "{}"),
        ("configured with other types", OTHER_TYPES),
    ] {
        add(name, odd_settings(subject, settings).await);
    }
    if let Some(judgement) = moved(subject, chosen).await {
        add("configured with another host", judgement);
    }
    add("flushed when nothing is held", flushed(subject).await);
    add("shut down twice", shut_down_twice(subject).await);
    if subject.component.serves_page() {
        add("page", page(subject, "").await);
        add(
            "page that is not there",
            page(subject, "no/such/page").await,
        );
    }
}

const OTHER_TYPES: &str = r#"{"conformance":{"a":[1,null]},"url":7,"endpoint":false,"api_key":[]}"#;

fn told(error: &StartError) -> String {
    match error {
        StartError::Settings(_) => error.to_string(),
        StartError::Call(cause) => cause.to_string(),
    }
}

async fn twice(subject: &Subject) -> Judgement {
    let Ok(mut live) = subject.start().await else {
        return did_not_start();
    };
    match live.trial.configure(&subject.settings_json).await {
        Ok(()) => Judgement::pass("takes settings again"),
        Err(error) => Judgement::fail(
            format!("the second time: {}", told(&error)),
            "`configure` may be called again on the same instance: replace what you keep",
        ),
    }
}

fn did_not_start() -> Judgement {
    Judgement::fail(
        "another instance did not start",
        "make starting independent of chance and time",
    )
}

/// The host checks settings against the schema first, so that this is courtesy.
async fn odd_settings(subject: &Subject, settings: &str) -> Judgement {
    match subject.start_with(settings.to_owned()).await {
        Ok(_) => Judgement::pass("takes them"),
        Err(StartError::Settings(refused)) => {
            let names: Vec<&str> = refused.iter().map(|one| one.setting.as_str()).collect();
            Judgement::pass(format!("refuses {}", names.join(", ")))
        }
        Err(StartError::Call(error)) => Judgement::warn(
            error.to_string(),
            "answer an error that names the setting; a trap says nothing to the operator",
        ),
    }
}

/// After another `configure` the requests go where the new settings say.
async fn moved(subject: &Subject, chosen: SignalSet) -> Option<Judgement> {
    let hosts = &subject.component.description().hosts;
    let setting = hosts.iter().find_map(|host| match host {
        HostRequest::FromSetting(name) => Some(name),
        HostRequest::Origin(_) => None,
    })?;
    let old = Url::parse(subject.values.get(setting)?.as_str()?).ok()?;
    let mut settings: Value = serde_json::from_str(&subject.settings_json).ok()?;
    let value = settings.get_mut(setting)?;
    let moved = value
        .as_str()?
        .replacen(old.host_str()?, "moved.example", 1);
    *value = Value::String(moved);
    let signal = chosen.iter().next()?;
    let plain = fixtures::canonical(signal).ok()?.into_iter().next()?;
    let batch = subject.batches(&plain.events).into_iter().next()?;
    let mut live = subject.start().await.ok()?;
    subject.script.play(Answer::Good);
    let before = live.deliver(signal, &batch).await;
    let speaks_there = |url: &str| Url::parse(url).is_ok_and(|url| url.host() == old.host());
    if !before
        .requests
        .iter()
        .any(|request| speaks_there(&request.url))
    {
        return None;
    }
    if let Err(error) = live.trial.configure(&settings.to_string()).await {
        let fix = "take what the schema takes, also the second time";
        return Some(Judgement::fail(told(&error), fix));
    }
    // The new host is not granted here, so that the host refuses what goes there.
    let after = live.deliver(signal, &batch).await;
    let stays = after
        .requests
        .iter()
        .any(|request| speaks_there(&request.url));
    Some(if stays {
        Judgement::warn(
            format!("still sends to the host that `{setting}` named before"),
            "use the settings of the last `configure`, unless another setting says where to send",
        )
    } else {
        Judgement::pass("sends where the new settings say")
    })
}

async fn flushed(subject: &Subject) -> Judgement {
    let Ok(mut live) = subject.start().await else {
        return did_not_start();
    };
    match live.trial.flush().await {
        Ok(reported) if reported.iter().all(|one| one.tokens.is_empty()) => {
            Judgement::pass("reports nothing")
        }
        Ok(_) => Judgement::fail(
            "reports tokens although nothing is held",
            "report each token once, after its item was answered `held`",
        ),
        Err(error) => Judgement::fail(
            error.to_string(),
            "do nothing in `flush` when nothing is held",
        ),
    }
}

async fn shut_down_twice(subject: &Subject) -> Judgement {
    let Ok(mut live) = subject.start().await else {
        return did_not_start();
    };
    let trial: &mut Trial = &mut live.trial;
    for time in ["first", "second"] {
        if let Err(error) = trial.shutdown().await {
            return Judgement::fail(
                format!("the {time} time: {error}"),
                "`shutdown` may come twice: do nothing the second time",
            );
        }
    }
    Judgement::pass("ends")
}

async fn page(subject: &Subject, path: &str) -> Judgement {
    let Ok(mut live) = subject.start().await else {
        return did_not_start();
    };
    let request = PageRequest {
        path: path.to_owned(),
        ..PageRequest::default()
    };
    match live.trial.render(&request).await {
        Ok(page) if page.status >= 500 => Judgement::warn(
            format!("status {}", page.status),
            "answer 404 for a path that you do not serve",
        ),
        Ok(page) => Judgement::pass(format!("status {}, {}", page.status, page.content_type)),
        Err(error) => Judgement::fail(error.to_string(), "answer a page for any path"),
    }
}
