//! Takes the secrets out of an exporter's settings before its component sees them.

use serde_json::{Map, Value};

use crate::http::secrets::{HideError, Secrets};
use crate::plugin::{Description, Setting};

/// The settings as the component gets them, and the secrets that were taken out.
pub(crate) fn hide_secrets(
    description: &Description,
    values: &Map<String, Value>,
) -> Result<(Map<String, Value>, Secrets), HideError> {
    let mut secrets = Secrets::default();
    let mut settings = values.clone();
    for setting in &description.settings {
        match settings.get_mut(&setting.name) {
            Some(value) if setting.secret => hide(setting, value, &mut secrets)?,
            Some(Value::String(url)) if setting.uri => {
                *url = secrets.hide_password_of(&setting.name, url)?;
            }
            _ => {}
        }
    }
    Ok((settings, secrets))
}

/// Hides every text in the value: a secret setting may be an object of headers.
fn hide(setting: &Setting, value: &mut Value, secrets: &mut Secrets) -> Result<(), HideError> {
    match value {
        Value::String(text) if setting.uri => {
            *text = secrets.hide_url(&setting.name, text, setting.in_body)?
        }
        Value::String(text) => *text = secrets.hide(&setting.name, text, setting.in_body)?,
        Value::Array(items) => items
            .iter_mut()
            .try_for_each(|item| hide(setting, item, secrets))?,
        Value::Object(fields) => fields
            .values_mut()
            .try_for_each(|field| hide(setting, field, secrets))?,
        // A schema without a type lets a number through: as a text it can be hidden.
        Value::Number(number) => {
            let text = number.to_string();
            *value = Value::String(secrets.hide(&setting.name, &text, setting.in_body)?);
        }
        Value::Null | Value::Bool(_) => {}
    }
    Ok(())
}
