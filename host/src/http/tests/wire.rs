//! A backend in this process sees what has passed the checks, and what it says passes the others, as over the network.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;

use super::super::client::{Client, ClientSettings, Transport};
use super::super::hop::HopId;
use super::super::limits::Limits;
use super::super::message::{Auth, HttpError, Request};
use super::super::secrets::Secrets;
use super::super::wire::{Backend, BackendFuture, WireBody, WireRequest, WireResponse};

#[derive(Debug)]
struct Stage {
    answer: WireResponse,
    seen: Mutex<Vec<WireRequest>>,
}

impl Backend for Stage {
    fn answer(&self, request: WireRequest) -> BackendFuture<'_> {
        self.seen.lock().unwrap().push(request);
        Box::pin(async { Ok(self.answer.clone()) })
    }
}

fn answer(status: u16, headers: &[(&str, &str)], body: WireBody) -> WireResponse {
    let headers = headers.iter();
    WireResponse {
        status,
        headers: headers
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body,
    }
}

fn whole(text: &str) -> WireBody {
    WireBody::Whole(Bytes::copy_from_slice(text.as_bytes()))
}

/// A client that is granted `https://a.example`, with the secret `hunter22`.
fn client(answer: WireResponse) -> (Client, Arc<Stage>, String) {
    let mut secrets = Secrets::default();
    let placeholder = secrets.hide("key", "hunter22", false).unwrap();
    let stage = Arc::new(Stage {
        answer,
        seen: Mutex::default(),
    });
    let settings = ClientSettings {
        exporter: "test".to_owned(),
        origins: vec!["https://a.example".parse().unwrap()],
        operator_hosts: Vec::new(),
        allows_metadata: false,
        own_listeners: Vec::new(),
        hop: HopId::random(),
        secrets,
        limits: Limits::default(),
        transport: Transport::default(),
    };
    let client = Client::with_backend(settings, Arc::clone(&stage) as Arc<_>).unwrap();
    (client, stage, placeholder)
}

fn post(url: &str, token: &str) -> Request {
    Request {
        verb: "POST".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: Bytes::from_static(b"x"),
        compress: None,
        auth: Some(Auth::Bearer(token.to_owned())),
        timeout: None,
    }
}

#[tokio::test]
async fn secrets_are_filled_in_and_taken_out_again() {
    let said = answer(200, &[("retry-after", "7")], whole("you sent hunter22"));
    let (client, stage, placeholder) = client(said);
    let response = client.send(post("https://a.example/x", &placeholder)).await;
    let response = response.unwrap();
    assert_eq!(response.body, "you sent ***");
    assert_eq!(response.retry_after, Some(Duration::from_secs(7)));
    let seen = stage.seen.lock().unwrap();
    let bearer = ("authorization".to_owned(), "Bearer hunter22".to_owned());
    assert!(seen[0].headers.contains(&bearer), "{:?}", seen[0].headers);
    assert_eq!(seen[0].url, "https://a.example/x");
    assert!(!format!("{:?}", seen[0]).contains("hunter22"));
}

#[tokio::test]
async fn what_is_refused_does_not_arrive() {
    let elsewhere = [("location", "https://b.example/")];
    let (client, stage, placeholder) = client(answer(307, &elsewhere, whole("")));
    let sent = client.send(post("https://b.example/x", "t")).await;
    assert!(matches!(sent, Err(HttpError::Denied(_))), "{sent:?}");
    let url = format!("https://a.example/{placeholder}");
    let sent = client.send(post(&url, "t")).await;
    assert!(matches!(sent, Err(HttpError::Invalid(_))), "{sent:?}");
    assert!(stage.seen.lock().unwrap().is_empty());
    let sent = client.send(post("https://a.example/x", "t")).await;
    assert!(matches!(sent, Err(HttpError::Denied(_))), "{sent:?}");
    assert_eq!(stage.seen.lock().unwrap().len(), 1, "not redirected");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_for_ever_times_out() {
    let every = Duration::from_secs(1);
    let (client, _, _) = client(answer(200, &[], WireBody::Dripping { every }));
    let sent = client.send(post("https://a.example/x", "t")).await;
    assert_eq!(sent, Err(HttpError::TimedOut));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let large = " ".repeat(Limits::default().max_response_bytes + 1);
    let (client, _, _) = client(answer(200, &[], whole(&large)));
    let sent = client.send(post("https://a.example/x", "t")).await;
    assert!(
        matches!(sent, Err(HttpError::ResponseTooLarge { .. })),
        "{sent:?}"
    );
}
