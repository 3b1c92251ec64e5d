//! Where images go whose destination is written without a registry, as in the lists of several tools.
//!
//! `--to` says it, or variables, whose names are those of the tools: `REGISTRY`, with `REGISTRY_NAMESPACE`,
//! `NAMESPACE` or `ALIYUN_NAMESPACE`, and the login `REGISTRY_USER` and `REGISTRY_PASSWORD`, or `ALIYUN_USERNAME` and
//! `ALIYUN_PASSWORD`; else docker_image_pusher's, which begin with `ALIYUN_REGISTRY`, or image-syncer's
//! `DEFAULT_REGISTRY`. The first that is set counts. A login is never used at another registry than the one it is set
//! beside.

use std::cell::Cell;

use super::expand::Lookup;
use super::reader::ConfigReader;
use crate::credentials::{Login, Variables};
use crate::oci::{ReferenceError, RepositoryName};

/// A registry, a namespace there, and who signs in.
pub(super) struct DefaultRegistry {
    /// In its canonical spelling.
    pub host: String,
    /// The namespace and a slash, if there is one.
    prefix: String,
    pub login: Option<Login>,
    /// Whether any image goes there.
    is_used: Cell<bool>,
}

/// Variables that belong together.
struct Names {
    registry: &'static str,
    namespaces: &'static [&'static str],
    logins: &'static [(&'static str, &'static str)],
}

const OURS: Names = Names {
    registry: "REGISTRY",
    namespaces: &["REGISTRY_NAMESPACE", "NAMESPACE", "ALIYUN_NAMESPACE"],
    logins: &[
        ("REGISTRY_USER", "REGISTRY_PASSWORD"),
        ("ALIYUN_USERNAME", "ALIYUN_PASSWORD"),
    ],
};

const DOCKER_IMAGE_PUSHER: Names = Names {
    registry: "ALIYUN_REGISTRY",
    namespaces: &["ALIYUN_NAME_SPACE"],
    logins: &[("ALIYUN_REGISTRY_USER", "ALIYUN_REGISTRY_PASSWORD")],
};

/// image-syncer's older ones.
const IMAGE_SYNCER: Names = Names {
    registry: "DEFAULT_REGISTRY",
    namespaces: &["DEFAULT_NAMESPACE"],
    logins: &[],
};

const ALL: [Names; 3] = [OURS, DOCKER_IMAGE_PUSHER, IMAGE_SYNCER];

/// Reserved by RFC 2606; it never gets into a request.
pub(super) const STAND_IN: &str = "registry.invalid";

impl DefaultRegistry {
    /// The one of this run, read when first needed. If it is wrong, that is a problem and a stand-in takes its place,
    /// so that the remaining problems are found too.
    pub(super) fn get<'b>(
        found: &'b mut Option<DefaultRegistry>,
        reader: &mut ConfigReader,
    ) -> &'b DefaultRegistry {
        found.get_or_insert_with(|| DefaultRegistry::new(reader))
    }

    /// What `--to` says: `registry[/path]`. It has no login of its own.
    pub(super) fn named(text: &str) -> Result<DefaultRegistry, String> {
        let text = text.trim_end_matches('/');
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        if !host.contains(['.', ':']) && host != "localhost" {
            return Err(format!(
                "`{text}` does not begin with a registry; hint: `docker.io/{text}` is on Docker Hub"
            ));
        }
        DefaultRegistry::at(host, path).map_err(|error| error.to_string())
    }

    /// Whether variables say it.
    pub(super) fn is_set(lookup: Lookup) -> bool {
        ALL.iter().any(|it| lookup(it.registry).is_some())
    }

    /// The repository of the image `name`.
    pub(super) fn repository(&self, name: &str) -> Result<RepositoryName, ReferenceError> {
        self.is_used.set(true);
        RepositoryName::new(&self.host, &format!("{}{name}", self.prefix))
    }

    /// Whether [`DefaultRegistry::repository`] was asked for any.
    pub(super) fn is_used(&self) -> bool {
        self.is_used.get()
    }

    fn at(host: &str, namespace: &str) -> Result<DefaultRegistry, ReferenceError> {
        let prefix = match namespace {
            "" => String::new(),
            namespace => format!("{namespace}/"),
        };
        let any = RepositoryName::new(host, &format!("{prefix}any"))?;
        Ok(DefaultRegistry {
            host: any.host().to_owned(),
            prefix,
            login: None,
            is_used: Cell::default(),
        })
    }

    fn new(reader: &mut ConfigReader) -> DefaultRegistry {
        let lookup = reader.lookup;
        let mut problem = |sentence| reader.problems.push(sentence);
        let set = ALL.into_iter().find(|it| lookup(it.registry).is_some());
        let names = set.unwrap_or(OURS);
        let host = lookup(names.registry).unwrap_or_else(|| {
            let file = &reader.file;
            problem(format!(
                "`REGISTRY` is not set: `{file}` names destinations without a registry; hint: also `REGISTRY_NAMESPACE`, `REGISTRY_USER` and `REGISTRY_PASSWORD`, or `--to REGISTRY/PATH`"
            ));
            STAND_IN.to_owned()
        });
        let namespace = names.namespaces.iter().find_map(|it| lookup(it));
        let found = DefaultRegistry::at(&host, namespace.as_deref().unwrap_or_default());
        let mut found = found.unwrap_or_else(|error| {
            let hint = match host.contains('/') && !host.contains("://") {
                true => format!(
                    "; hint: what is after the `/` goes into `{}`",
                    names.namespaces[0]
                ),
                false => String::new(),
            };
            problem(format!(
                "`{}` and its namespace: {error}{hint}",
                names.registry
            ));
            DefaultRegistry {
                host: STAND_IN.to_owned(),
                prefix: String::new(),
                login: None,
                is_used: Cell::default(),
            }
        });
        // The first of which anything is set.
        let login = names.logins.iter().find_map(|(user, password)| {
            let login = Variables::read(*user, *password, lookup).login();
            login.map_err(|half| problem(half.to_string())).transpose()
        });
        found.login = login.and_then(Result::ok);
        found
    }
}
