//! A bad event is refused with its place and reason; the good ones around it are delivered.

use anyhow::Context as _;
use e2e::{Config, accounts, lines, run, run_with_input};
use kit::client::{Outgoing, Reply};
use kit::fixtures::{awkward, ndjson, span};
use kit::host::RunningHost;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A host with json alone, and where its lines go.
async fn host(dir: &TempDir) -> anyhow::Result<RunningHost> {
    run(&Config::new().json("json", &dir.path().join("events.ndjson"))?)?
        .start()
        .await
}

/// The refused items of an answer: index and reason.
fn rejected(reply: &Reply) -> anyhow::Result<Vec<(u64, String)>> {
    let body = reply.json()?;
    let items = body
        .get("rejected")
        .unwrap_or(&Value::Null)
        .as_array()
        .with_context(|| format!("no rejected items in {body}"))?;
    items
        .iter()
        .map(|item| {
            let index = item["index"]
                .as_u64()
                .with_context(|| format!("no index in {item}"))?;
            let reason = item["reason"]
                .as_str()
                .with_context(|| format!("no reason in {item}"))?;
            assert!(item["field"].is_string(), "{item}");
            Ok((index, reason.to_owned()))
        })
        .collect()
}

#[tokio::test]
async fn every_awkward_event_is_taken_or_refused_as_it_must_be() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let host = host(&dir).await?;
    let cases = awkward();
    let events: Vec<Value> = cases.iter().map(|case| case.event.clone()).collect();
    let reply = host.send_events(ndjson(&events)).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let refused: Vec<u64> = rejected(&reply)?
        .into_iter()
        .map(|(index, _)| index)
        .collect();
    for (index, case) in (0..).zip(&cases) {
        assert_eq!(
            refused.contains(&index),
            case.is_refused,
            "{}: {}",
            case.name,
            reply.text()
        );
    }
    let good = cases.len() - refused.len();
    assert_eq!(reply.json()?["accepted"], good);
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    accounts(&finished)?;
    assert_eq!(lines(&dir.path().join("events.ndjson"))?.len(), good);
    Ok(())
}

#[tokio::test]
async fn a_reason_names_the_field_and_not_the_payload() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let host = host(&dir).await?;
    let mut event = span(1, 1, None, "agent_run");
    event["exportedSpan"]["startTime"] = json!("yesterday");
    event["exportedSpan"]["input"] = json!("a prompt that nobody else may read");
    let reply = host.send_events(ndjson(&[event])).await?;
    let item = &reply.json()?["rejected"][0];
    assert!(
        item["field"]
            .as_str()
            .is_some_and(|field| field.contains("startTime")),
        "{item}"
    );
    let finished = host.terminate().await?;
    for text in [&reply.text(), &finished.stderr, &finished.stdout] {
        assert!(!text.contains("nobody else may read"), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn lines_that_are_no_json_are_refused_one_by_one() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let host = host(&dir).await?;
    let good = |n| ndjson(&[span(1, n, None, "agent_run")]).into_bytes();
    let deep = format!(
        "{{\"type\":\"log\",\"log\":{}{}}}\n",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let parts: [Vec<u8>; 7] = [
        good(1),
        b"{\"type\":\"span_ended\",\n".to_vec(),
        good(2),
        b"{\"type\":\"log\",\"log\":{\"message\":\"\xff\xfe\"}}\n".to_vec(),
        good(3),
        deep.into_bytes(),
        good(4),
    ];
    let reply = host.send_events(parts.concat()).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let indexes: Vec<u64> = rejected(&reply)?
        .into_iter()
        .map(|(index, _)| index)
        .collect();
    assert_eq!(indexes, [1, 3, 5], "{}", reply.text());
    assert_eq!(reply.json()?["accepted"], 4);
    host.terminate().await?.expect_code(0)
}

#[tokio::test]
async fn a_request_of_which_nothing_can_be_read_is_a_bad_one() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let host = host(&dir).await?;
    for (path, body) in [
        ("/v1/events", "no JSON"),
        ("/ai/spans/publish", "{\"spans\":"),
        ("/ai/spans/publish", "[]"),
    ] {
        let reply = host
            .send(Outgoing::post(path, "application/json", body))
            .await?;
        assert_eq!(reply.status, 400, "{path} {body}: {}", reply.text());
    }
    Ok(())
}

#[tokio::test]
async fn a_publish_with_one_bad_span_is_answered_well() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let host = host(&dir).await?;
    let spans = [
        span(1, 1, None, "agent_run"),
        span(1, 2, Some(1), "tool_call"),
    ]
    .map(|mut event| event["exportedSpan"].take());
    let [good, mut bad] = spans;
    bad["traceId"] = json!("0".repeat(32));
    let reply = host
        .send(Outgoing::post_json(
            "/ai/spans/publish",
            &json!({"spans": [good, bad]}),
        ))
        .await?;
    assert_eq!(
        reply.status, 200,
        "any other status would have the client send everything again"
    );
    let indexes: Vec<u64> = rejected(&reply)?
        .into_iter()
        .map(|(index, _)| index)
        .collect();
    assert_eq!(indexes, [1]);
    Ok(())
}

#[tokio::test]
async fn a_body_over_the_limit_is_too_large() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let config = Config::new()
        .section("receivers: {http: {max_request_body_size: 64KiB}}")
        .json("json", &dir.path().join("events.ndjson"))?;
    let host = run(&config)?.start().await?;
    let zeros = Outgoing::post("/v1/events", "application/x-ndjson", vec![b' '; 1 << 20]);
    assert_eq!(
        host.send(zeros.clone().gzip()?).await?.status,
        413,
        "a bomb counts as what it unpacks to"
    );
    // The host may close the connection before it has read all: either way the request is refused.
    if let Ok(reply) = host.send(zeros).await {
        assert_eq!(reply.status, 413);
    }
    assert_eq!(host.send(Outgoing::get("/readyz")).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_bad_line_of_an_input_file_does_not_stop_the_others() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("events.ndjson");
    let input = format!(
        "{}nonsense\n{}",
        ndjson(&[span(1, 1, None, "agent_run")]),
        ndjson(&[span(1, 2, None, "agent_run")])
    );
    let finished = run_with_input(&Config::new().json("json", &file)?, input)?
        .finish()
        .await?;
    finished.expect_code(3)?;
    accounts(&finished)?;
    assert_eq!(lines(&file)?.len(), 2);
    assert!(
        finished.stderr.contains('2'),
        "the line of the bad event is told: {}",
        finished.stderr
    );
    Ok(())
}
