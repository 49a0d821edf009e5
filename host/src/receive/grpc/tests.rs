//! Framing and statuses of gRPC. What a client sees of them stands in `tests/e2e/tests/otlp_grpc.rs`.

use std::time::Duration;

use super::*;
use crate::event::fields::FieldError;

fn framed(flag: u8, length: u32, message: &[u8]) -> Bytes {
    let mut body = BytesMut::new();
    body.put_u8(flag);
    body.put_u32(length);
    body.extend_from_slice(message);
    body.freeze()
}

#[test]
fn a_message_is_a_slice_of_its_body() {
    let body = framed(1, 3, b"abc");
    let (found, is_compressed) = message(&body).unwrap();
    assert_eq!((&found[..], is_compressed), (&b"abc"[..], true));
    assert_eq!(found.as_ptr(), body[PREFIX_BYTES..].as_ptr());
    let (empty, is_compressed) = message(&framed(0, 0, b"")).unwrap();
    assert!(empty.is_empty() && !is_compressed);
}

#[test]
fn a_body_that_is_not_one_message_is_refused_with_the_reason() {
    for (body, reason) in [
        (Bytes::new(), "the body has 0"),
        (Bytes::from_static(b"\0\0\0\0"), "the body has 4"),
        (framed(0, 4, b"abc"), "4 bytes, 3 came"),
        (framed(0, 2, b"abc"), "2 bytes, 3 came"),
        (framed(0, u32::MAX, b"abc"), "4294967295 bytes, 3 came"),
        (framed(2, 3, b"abc"), "0 or 1, not 2"),
    ] {
        let error = message(&body).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn only_grpc_with_protobuf_is_spoken() {
    for (content_type, expected) in [
        ("application/grpc", true),
        ("application/grpc+proto", true),
        ("Application/gRPC; x=y", true),
        ("application/grpc+json", false),
        ("application/grpc-web", false),
        ("application/x-protobuf", false),
    ] {
        let value = HeaderValue::from_static(content_type);
        assert_eq!(is_spoken(Some(&value)), expected, "{content_type}");
    }
    assert!(!is_spoken(None));
}

#[test]
fn senders_send_again_exactly_after_what_may_pass() {
    // Specification, "Failures": the codes that a client retries; `RESOURCE_EXHAUSTED` only with a `RetryInfo`.
    let full = RequestError::Intake(IntakeError::Full {
        retry_after: Duration::from_millis(2_500),
    });
    let shape = RequestError::Shape(FieldError::new("", "x", "must be something else"));
    let slow = RequestError::Slow {
        idle: Duration::ZERO,
        total: Duration::ZERO,
    };
    let too_large = RequestError::TooLarge { limit_bytes: 1 };
    let queue_too_small = RequestError::Intake(IntakeError::TooLarge { limit_bytes: 1 });
    let failed = RequestError::Intake(IntakeError::Failed("x".to_owned()));
    for (error, code, retry_after) in [
        (full, 14, Some(3)),
        (RequestError::Busy, 14, Some(1)),
        (RequestError::Intake(IntakeError::Stopping), 14, Some(1)),
        (failed, 14, None),
        (slow, 4, None),
        (too_large, 8, None),
        (queue_too_small, 8, None),
        (RequestError::Unauthorized, 16, None),
        (RequestError::Loop, 9, None),
        (RequestError::Encoding("br".to_owned()), 12, None),
        (RequestError::Body("x".to_owned()), 3, None),
        (shape, 3, None),
    ] {
        let answer = refused(&error);
        assert_eq!(answer.status(), StatusCode::OK, "{error}");
        assert_eq!(answer.headers()[STATUS], code.to_string(), "{error}");
        let told = answer.headers().get(DETAILS).map(|details| {
            let status = BASE64_STANDARD_NO_PAD.decode(details).unwrap();
            let status = RpcStatus::decode(&status[..]).unwrap();
            assert_eq!((status.code, &status.message), (code, &error.to_string()));
            let detail = &status.details[0];
            assert_eq!(detail.type_url, "type.googleapis.com/google.rpc.RetryInfo");
            let info = RetryInfo::decode(&detail.value[..]).unwrap();
            info.retry_delay.unwrap().seconds
        });
        assert_eq!(told, retry_after, "{error}");
    }
}

#[test]
fn messages_are_percent_encoded() {
    assert_eq!(percent_encoded("50 % of ü\n"), "50 %25 of %C3%BC%0A");
}
