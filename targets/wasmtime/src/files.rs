//! The cache as the sandbox sees it: what cannot be used is reported, removed and made anew, and is never an error.

use crate::cache::{self, Folder, Key, Kind};
use crate::config::Config;
use crate::event::{Event, Rejection};
use std::sync::Arc;

/// The cache, if there is one, and who is told about it.
pub(crate) struct Files {
    folder: Option<Folder>,
    on_event: Option<Arc<dyn Fn(Event) + Send + Sync>>,
}

impl Files {
    pub(crate) fn open(config: &Config) -> Files {
        let mut files = Files { folder: None, on_event: config.on_event.clone() };
        let path = match cache::directory(&config.cache) {
            Ok(Some(path)) => path,
            Ok(None) => return files,
            Err(why) => {
                files.report(Event::CacheUnavailable { path: None, why });
                return files;
            }
        };
        match Folder::open(&path) {
            Ok(folder) => files.folder = Some(folder),
            Err(why) => files.report(Event::CacheUnavailable { path: Some(path), why }),
        }
        files
    }

    pub(crate) fn is_open(&self) -> bool {
        self.folder.is_some()
    }

    /// The checked content of a file. One that is not as it should be is reported and removed.
    pub(crate) fn read(&self, kind: Kind, key: &Key) -> Option<Vec<u8>> {
        match self.folder.as_ref()?.read(kind, key) {
            Ok(content) => content,
            Err(why) => {
                self.reject(kind, key, why);
                None
            }
        }
    }

    pub(crate) fn write(&self, kind: Kind, key: &Key, content: &[u8]) {
        let Some(folder) = &self.folder else { return };
        match folder.write(kind, key, content) {
            Ok(removed) => removed.into_iter().for_each(|path| self.report(Event::CacheEvicted { path })),
            Err(reason) => self.report_not_written(kind, key, reason),
        }
    }

    /// Reports and removes a file.
    pub(crate) fn reject(&self, kind: Kind, key: &Key, why: Rejection) {
        let Some(folder) = &self.folder else { return };
        self.report(Event::CacheRejected { path: folder.file(kind, key), why });
        folder.remove(kind, key);
    }

    pub(crate) fn report_not_written(&self, kind: Kind, key: &Key, reason: String) {
        let Some(folder) = &self.folder else { return };
        self.report(Event::CacheNotWritten { path: folder.file(kind, key), reason });
    }

    pub(crate) fn report(&self, event: Event) {
        if let Some(on_event) = &self.on_event {
            on_event(event);
        }
    }
}
