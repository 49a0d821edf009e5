//! The pages that exporters serve: `GET /exporters/{id}/{path}`.

use std::sync::{Arc, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{
    ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::get;

use super::Pools;
use crate::plugin::outcome::CallError;
use crate::plugin::page::{PageRequest, PageResponse};

/// The route of the exporters' pages.
pub(super) fn router(pools: Arc<Pools>) -> Router {
    Router::new()
        .route("/exporters/{*page}", get(serve))
        .with_state(pools)
}

async fn serve(
    State(pools): State<Arc<Pools>>,
    Path(page): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let found = {
        let pools = pools.read().unwrap_or_else(PoisonError::into_inner);
        find(pools.iter(), &page)
            .map(|(id, pool, path)| (id.clone(), pool.clone(), path.to_owned()))
    };
    let Some((id, pool, path)) = found else {
        let text = "no exporter of this name runs; `/readyz?verbose` lists them\n";
        return plain(StatusCode::NOT_FOUND, text.to_owned());
    };
    if !pool.component().serves_page() {
        let text = format!("exporter {id} has no pages\n");
        return plain(StatusCode::NOT_FOUND, text);
    }
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let request = PageRequest {
        path,
        query: query.unwrap_or_default(),
        accept: accept.map(str::to_owned),
    };
    match pool.render(request).await {
        Ok(page) => page_response(page),
        Err(error) => refusal(&id, &error),
    }
}

/// The exporter with the longest id that the path begins with, and the rest of the path.
fn find<'a, P>(
    exporters: impl Iterator<Item = (&'a String, &'a P)>,
    page: &'a str,
) -> Option<(&'a String, &'a P, &'a str)> {
    let rest_after = |id: &str| {
        let rest = page.strip_prefix(id)?;
        rest.strip_prefix('/').or(rest.is_empty().then_some(""))
    };
    exporters
        .filter_map(|(id, pool)| Some((id, pool, rest_after(id)?)))
        .max_by_key(|(id, ..)| id.len())
}

fn page_response(page: PageResponse) -> Response<Body> {
    let Ok(content_type) = HeaderValue::from_str(&page.content_type) else {
        return plain(StatusCode::BAD_GATEWAY, "no content type\n".to_owned());
    };
    let status = StatusCode::from_u16(page.status).unwrap_or(StatusCode::BAD_GATEWAY);
    // These have no content (RFC 9110, section 15): what a component gives would be taken for the next answer.
    let body = match status.as_u16() {
        204 | 205 | 304 => Body::empty(),
        _ => Body::from(page.body),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    // A component's page is not the host's: in a browser it runs nothing and reads nothing of the host's.
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let own = HeaderValue::from_static("same-origin");
    headers.insert("cross-origin-resource-policy", own);
    response
}

fn refusal(id: &str, error: &CallError) -> Response<Body> {
    let text = format!("exporter {id} cannot serve its page now: {error}\n");
    match error {
        CallError::Contract(_) => plain(StatusCode::BAD_GATEWAY, text),
        CallError::NotRunning { retry_in, .. } => {
            let seconds = retry_in.as_secs().max(1);
            let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, text);
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
            response
        }
        _ => plain(StatusCode::SERVICE_UNAVAILABLE, text),
    }
}

fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_longest_id_wins_and_the_rest_is_the_path() {
        let names = ["langfuse", "langfuse/eu", "prometheus"];
        let exporters: BTreeMap<String, ()> =
            names.iter().map(|name| ((*name).to_owned(), ())).collect();
        let found =
            |page| find(exporters.iter(), page).map(|(id, (), path)| (id.clone(), path.to_owned()));
        for (page, id, path) in [
            ("prometheus/metrics", "prometheus", "metrics"),
            ("prometheus/a/b", "prometheus", "a/b"),
            ("prometheus/", "prometheus", ""),
            ("prometheus", "prometheus", ""),
            ("langfuse/eu/x", "langfuse/eu", "x"),
            ("langfuse/europe", "langfuse", "europe"),
        ] {
            assert_eq!(
                found(page),
                Some((id.to_owned(), path.to_owned())),
                "{page}"
            );
        }
        assert_eq!(found("prometheus2/metrics"), None);
        assert_eq!(found(""), None);
    }

    #[test]
    fn a_page_runs_nothing_in_a_browser_and_has_content_only_where_its_status_has() {
        for (status, content) in [(200, 4), (204, 0), (205, 0), (304, 0), (404, 4), (599, 4)] {
            let response = page_response(PageResponse {
                status,
                content_type: "text/html".to_owned(),
                body: b"page".to_vec(),
            });
            assert_eq!(response.status().as_u16(), status);
            let size = axum::body::HttpBody::size_hint(response.body());
            assert_eq!(size.exact(), Some(content), "{status}");
            assert_eq!(response.headers()[CONTENT_SECURITY_POLICY], "sandbox");
        }
    }

    #[test]
    fn faults_of_the_page_are_told_from_a_component_that_does_not_run() {
        let contract = refusal("a", &CallError::Contract("x".to_owned()));
        assert_eq!(contract.status(), StatusCode::BAD_GATEWAY);
        let quarantined = CallError::NotRunning {
            state: "quarantined",
            retry_in: std::time::Duration::from_secs(60),
        };
        let response = refusal("a", &quarantined);
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[RETRY_AFTER], "60");
        let trap = refusal("a", &CallError::Trap("x".to_owned()));
        assert_eq!(trap.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
