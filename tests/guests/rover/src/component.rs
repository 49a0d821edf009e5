//! The component itself; only for wasm, since the exports have no meaning elsewhere.

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "mastra:observability/traces-exporter",
    });
}

#[path = "../../traveller.rs"]
mod traveller;

use bindings::mastra::observability::http;
use traveller::setting;

const NAME: &str = "rover";
const IS_SECRET_IN_BODY: bool = false;

#[expect(unsafe_code, reason = "generated: what the host calls are raw exports")]
mod exported {
    use super::bindings;
    use super::traveller::Traveller;

    bindings::export!(Traveller with_types_in bindings);
}

/// Status, and headers and body, of the answer to `POST place`.
fn ask(place: &str) -> Result<(u16, String), String> {
    let request = http::Request {
        verb: "POST".to_owned(),
        url: place.to_owned(),
        headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
        body: b"rover was here".to_vec(),
        compress: None,
        auth: Some(http::Auth::Bearer(setting("secret"))),
        timeout: None,
    };
    let response = http::send(&request).map_err(|error| format!("{error:?}"))?;
    let body = String::from_utf8_lossy(&response.body);
    Ok((response.status, format!("{:?} {body}", response.headers)))
}
