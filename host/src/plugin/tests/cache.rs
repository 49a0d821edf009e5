//! Cached code is used when it is this user's and undamaged, and never else.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::dummies::plain;
use super::{engine, examine};

fn entries(directory: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut entries: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|ext| ext == "cwasm"))
        .collect();
    entries.sort();
    entries
}

/// Loads a dummy with a cache, changes its entry, and tells whether the changed entry is used.
async fn is_used_after(change: impl FnOnce(&Path)) -> bool {
    let directory = tempfile::tempdir().unwrap();
    let cache_dir = directory.path().join("code");
    let component = plain("include logs-exporter;");
    examine(&engine(Some(&cache_dir)), &component)
        .await
        .unwrap();
    let entry = entries(&cache_dir).pop().unwrap();
    assert_eq!(
        entry.metadata().unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(
        cache_dir.metadata().unwrap().permissions().mode() & 0o777,
        0o700
    );
    let digest = entry.file_name().unwrap().to_str().unwrap()[..64].to_owned();
    change(&entry);
    let second = engine(Some(&cache_dir));
    let inner = &second.inner;
    let used = inner
        .cache
        .as_ref()
        .unwrap()
        .load(&inner.wasmtime, &digest)
        .is_some();
    // Whatever was the matter: the component loads, and the entry is good again.
    examine(&second, &component).await.unwrap();
    assert!(
        inner
            .cache
            .as_ref()
            .unwrap()
            .load(&inner.wasmtime, &digest)
            .is_some()
    );
    used
}

#[tokio::test]
async fn an_untouched_entry_is_used() {
    assert!(is_used_after(|_| {}).await);
}

#[tokio::test]
async fn a_damaged_entry_is_compiled_again() {
    let flip = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    assert!(!is_used_after(flip).await);
    let truncate = |path: &Path| fs::write(path, b"").unwrap();
    assert!(!is_used_after(truncate).await);
    let lose_checksum = |path: &Path| fs::remove_file(path.with_extension("xxh3")).unwrap();
    assert!(!is_used_after(lose_checksum).await);
}

#[tokio::test]
async fn an_entry_that_others_can_write_is_compiled_again() {
    let open_up = |path: &Path| fs::set_permissions(path, Permissions::from_mode(0o620)).unwrap();
    assert!(!is_used_after(open_up).await);
}

#[tokio::test]
async fn a_link_is_not_followed() {
    let relink = |path: &Path| {
        let elsewhere = path.with_extension("elsewhere");
        fs::rename(path, &elsewhere).unwrap();
        symlink(&elsewhere, path).unwrap();
    };
    assert!(!is_used_after(relink).await);
}

#[tokio::test]
async fn a_directory_that_others_may_enter_is_not_used() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let engine = engine(Some(directory.path()));
    assert!(engine.inner.cache.is_none());
    examine(&engine, &plain("include logs-exporter;"))
        .await
        .unwrap();
    assert_eq!(entries(directory.path()).len(), 0);
}

#[tokio::test]
async fn each_content_has_an_entry_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let cache_dir = directory.path().join("code");
    let engine = engine(Some(&cache_dir));
    for items in ["include logs-exporter;", "include traces-exporter;"] {
        examine(&engine, &plain(items)).await.unwrap();
    }
    assert_eq!(entries(&cache_dir).len(), 2);
}
