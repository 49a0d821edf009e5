//! The component itself; only for wasm, since the exports have no meaning elsewhere.

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "mastra:observability/traces-exporter",
    });
}

#[path = "../../traveller.rs"]
mod traveller;

use serde_json::json;
use traveller::setting;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    Fields, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
};

const NAME: &str = "wanderer";
const IS_SECRET_IN_BODY: bool = true;

#[expect(unsafe_code, reason = "generated: what the host calls are raw exports")]
mod exported {
    use super::bindings;
    use super::traveller::Traveller;

    bindings::export!(Traveller with_types_in bindings);
}

/// Status and body of the answer to `POST place`.
fn ask(place: &str) -> Result<(u16, String), String> {
    let (scheme, rest) = place.split_once("://").ok_or("no scheme")?;
    let scheme = if scheme == "https" {
        Scheme::Https
    } else {
        Scheme::Http
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let body = json!({"here": "wanderer", "token": setting("secret")}).to_string();
    let length = body.len().to_string();
    let bearer = format!("Bearer {}", setting("secret"));
    let headers = [
        ("content-type", "application/json"),
        ("content-length", &length),
        ("authorization", &bearer),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    let headers = Fields::from_list(&headers).map_err(|error| format!("{error:?}"))?;
    let request = OutgoingRequest::new(headers);
    let set = request
        .set_method(&Method::Post)
        .and_then(|()| request.set_scheme(Some(&scheme)))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(path)));
    set.map_err(|()| "the host refuses a part of the URL")?;
    let outgoing = request.body().map_err(|()| "no body")?;
    let response = outgoing_handler::handle(request, None).map_err(|error| format!("{error:?}"))?;
    {
        let stream = outgoing.write().map_err(|()| "no stream")?;
        let written = stream.blocking_write_and_flush(body.as_bytes());
        written.map_err(|error| format!("{error:?}"))?;
    }
    OutgoingBody::finish(outgoing, None).map_err(|error| format!("{error:?}"))?;
    response.subscribe().block();
    let answer = response
        .get()
        .ok_or("no answer")?
        .map_err(|()| "asked twice")?;
    let answer = answer.map_err(|error| format!("{error:?}"))?;
    Ok((answer.status(), read(&answer)?))
}

fn read(answer: &IncomingResponse) -> Result<String, String> {
    let body = answer.consume().map_err(|()| "no body")?;
    let stream = body.stream().map_err(|()| "no stream")?;
    let mut bytes = Vec::new();
    // The end of the stream is an error to the one who reads it.
    while let Ok(chunk) = stream.blocking_read(64 * 1024) {
        bytes.extend(chunk);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
