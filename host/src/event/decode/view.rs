//! The typed view of a span's attributes. Never in error: what does not fit is left out.

use std::borrow::Cow;

use super::context::cost_field;
use super::scan::members;
use crate::event::fields::{as_count, as_text, boolean, time};
use crate::event::records::{Cost, ModelCall, Usage};

/// What the attributes say of a model call.
#[derive(Default)]
pub(super) struct Model<'a> {
    call: ModelCall<'a>,
    is_found: bool,
}

impl<'a> Model<'a> {
    /// Takes an attribute that is not null.
    pub(super) fn take(&mut self, key: &str, value: &'a str) {
        let call = &mut self.call;
        self.is_found |= match key {
            "model" => set(&mut call.model, as_text(value)),
            "provider" => set(&mut call.provider, as_text(value)),
            "responseModel" => set(&mut call.response_model, as_text(value)),
            "responseId" => set(&mut call.response_id, as_text(value)),
            "finishReason" => set(&mut call.finish_reason, as_text(value)),
            "streaming" => set(&mut call.streaming, boolean("", value).ok().flatten()),
            "completionStartTime" => set(
                &mut call.completion_start_time,
                time("", value).ok().flatten(),
            ),
            "parameters" => set(&mut call.parameters, object(value).map(Cow::Borrowed)),
            "usage" => set(&mut call.usage, object(value).map(usage)),
            "costContext" => set(&mut call.cost, object(value).map(cost)),
            "serverAddress" => set(&mut call.server_address, as_text(value)),
            "serverPort" => set(
                &mut call.server_port,
                as_count(value).and_then(|port| u16::try_from(port).ok()),
            ),
            _ => false,
        };
    }

    /// `None` when the attributes held none of its fields.
    pub(super) fn found(self) -> Option<ModelCall<'a>> {
        self.is_found.then_some(self.call)
    }
}

/// Sets the slot (the last of equal keys counts) and says whether there is a value.
fn set<T>(slot: &mut Option<T>, value: Option<T>) -> bool {
    *slot = value;
    slot.is_some()
}

fn object(raw: &str) -> Option<&str> {
    raw.starts_with('{').then_some(raw)
}

fn cost(raw: &str) -> Cost<'_> {
    let mut cost = Cost::default();
    let _ = members("", raw, |key, value| {
        // A field that does not fit stays `None`, one that has no place is in the attributes.
        let _ = cost_field(&mut cost, &key, value);
        Ok(())
    });
    cost
}

fn usage(raw: &str) -> Usage {
    let mut usage = Usage::default();
    let _ = members("", raw, |key, value| {
        match &*key {
            "inputTokens" => usage.input_tokens = as_count(value),
            "outputTokens" => usage.output_tokens = as_count(value),
            "inputDetails" => details(value, |name, count| match name {
                "text" => usage.input_text = count,
                "cacheRead" => usage.input_cache_read = count,
                "cacheWrite" => usage.input_cache_write = count,
                "cacheWrite5m" => usage.input_cache_write_short = count,
                "cacheWrite1h" => usage.input_cache_write_long = count,
                "audio" => usage.input_audio = count,
                "image" => usage.input_image = count,
                _ => {}
            }),
            "outputDetails" => details(value, |name, count| match name {
                "text" => usage.output_text = count,
                "reasoning" => usage.output_reasoning = count,
                "audio" => usage.output_audio = count,
                "image" => usage.output_image = count,
                _ => {}
            }),
            _ => {}
        }
        Ok(())
    });
    usage
}

fn details(raw: &str, mut take: impl FnMut(&str, Option<u64>)) {
    let _ = members("", raw, |key, value| {
        take(&key, as_count(value));
        Ok(())
    });
}
