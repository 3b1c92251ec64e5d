//! The config of an image made of layers: the base's, changed step by step (OCI image specification, "Image
//! Configuration"; the fields that only Docker has are from moby's image specification v1.2).

use serde_json::{Map, Value, json};

use super::recipe::{Action, BaseConfig, Healthcheck, Step};
use crate::oci::{Digest, Platform};

/// What engines give an image that has none.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A config that is being made.
pub struct ConfigDocument {
    document: Map<String, Value>,
    /// `CMD` was given by a step, not by the base.
    has_own_cmd: bool,
}

impl ConfigDocument {
    /// The config of an empty image.
    pub fn scratch(platform: &Platform) -> ConfigDocument {
        let mut document = Map::new();
        document.insert("architecture".into(), json!(platform.architecture));
        document.insert("os".into(), json!(platform.os));
        if let Some(variant) = &platform.variant {
            document.insert("variant".into(), json!(variant));
        }
        let config = json!({ "Env": [DEFAULT_PATH], "WorkingDir": "/" });
        document.insert("config".into(), config);
        document.insert("rootfs".into(), json!({ "type": "layers", "diff_ids": [] }));
        ConfigDocument {
            document,
            has_own_cmd: false,
        }
    }

    /// The config of a base image.
    ///
    /// # Errors
    /// It is no JSON object.
    pub fn of_base(bytes: &[u8]) -> serde_json::Result<ConfigDocument> {
        let mut document: Map<String, Value> = serde_json::from_slice(bytes)?;
        // Of the container that the base was built in; engines leave them out as well.
        for old in [
            "container",
            "container_config",
            "docker_version",
            "id",
            "parent",
        ] {
            document.remove(old);
        }
        let mut document = ConfigDocument {
            document,
            has_own_cmd: false,
        };
        let mut env = document.strings("Env");
        if !env.iter().any(|pair| pair.starts_with("PATH=")) {
            env.push(DEFAULT_PATH.to_owned());
            document.set("Env", json!(env));
        }
        Ok(document)
    }

    /// What a stage that is made from it inherits.
    pub fn inherited(&self) -> BaseConfig {
        BaseConfig {
            env: self.strings("Env"),
            working_dir: self.text("WorkingDir"),
            shell: self.strings("Shell"),
        }
    }

    /// The user that its container runs as; empty for root.
    pub fn user(&self) -> String {
        self.text("User")
    }

    /// Whether it has instructions for those who build from it.
    pub fn has_triggers(&self) -> bool {
        !self.strings("OnBuild").is_empty()
    }

    /// Performs a step; `layer` is the diff id of what it added, `created` the date of the image in RFC 3339.
    pub fn apply(&mut self, step: &Step, layer: Option<&Digest>, created: &str) {
        match &step.action {
            Action::Copy(_) => {}
            Action::Workdir(path) => self.set("WorkingDir", json!(path)),
            Action::Env(pairs) => {
                let mut env = self.strings("Env");
                for (name, value) in pairs {
                    let prefix = format!("{name}=");
                    let entry = format!("{prefix}{value}");
                    match env.iter_mut().find(|old| old.starts_with(&prefix)) {
                        Some(old) => *old = entry,
                        None => env.push(entry),
                    }
                }
                self.set("Env", json!(env));
            }
            Action::Label(pairs) => {
                let pairs = pairs.iter().map(|(name, value)| (name, json!(value)));
                self.extend("Labels", pairs);
            }
            Action::User(user) => self.set("User", json!(user)),
            Action::Expose(ports) => {
                self.extend("ExposedPorts", ports.iter().map(|port| (port, json!({}))));
            }
            Action::Volume(paths) => {
                self.extend("Volumes", paths.iter().map(|path| (path, json!({}))));
            }
            Action::Entrypoint(arguments) => {
                self.set("Entrypoint", json!(arguments));
                if !self.has_own_cmd {
                    self.config().remove("Cmd");
                }
            }
            Action::Cmd(arguments) => {
                self.set("Cmd", json!(arguments));
                self.has_own_cmd = true;
            }
            Action::Healthcheck(check) => self.set("Healthcheck", healthcheck(check)),
            Action::StopSignal(signal) => self.set("StopSignal", json!(signal)),
            Action::Shell(words) => self.set("Shell", json!(words)),
            Action::Maintainer(name) => {
                self.document.insert("author".into(), json!(name));
            }
        }
        if let Some(diff_id) = layer {
            let diff_ids = self.document.get_mut("rootfs");
            let diff_ids = diff_ids.and_then(|it| it.get_mut("diff_ids"));
            match diff_ids {
                Some(Value::Array(ids)) => ids.push(json!(diff_id)),
                // Go writes an empty list as `null`.
                _ => {
                    let rootfs = json!({ "type": "layers", "diff_ids": [diff_id] });
                    self.document.insert("rootfs".into(), rootfs);
                }
            }
        }
        let mut entry = json!({ "created": created, "created_by": step.text });
        if layer.is_none() {
            entry["empty_layer"] = json!(true);
        }
        match self.document.get_mut("history") {
            Some(Value::Array(history)) => history.push(entry),
            _ => drop(self.document.insert("history".into(), json!([entry]))),
        }
    }

    /// Adds labels, as `--label` does.
    pub fn label(&mut self, labels: &std::collections::BTreeMap<String, String>) {
        let labels = labels.iter().map(|(name, value)| (name, json!(value)));
        self.extend("Labels", labels);
    }

    /// The stage after this one starts its own count of commands.
    pub fn next_stage(&mut self) {
        self.has_own_cmd = false;
    }

    /// The finished config; the same steps give the same bytes.
    pub fn into_bytes(mut self, created: &str) -> Vec<u8> {
        self.document.insert("created".into(), json!(created));
        serde_json::to_vec(&self.document).expect("a JSON object is JSON")
    }

    fn config(&mut self) -> &mut Map<String, Value> {
        let config = self.document.entry("config").or_insert_with(|| json!({}));
        if !config.is_object() {
            *config = json!({});
        }
        config.as_object_mut().expect("it was made an object")
    }

    fn set(&mut self, field: &str, value: Value) {
        self.config().insert(field.to_owned(), value);
    }

    fn extend<'a>(&mut self, field: &str, entries: impl Iterator<Item = (&'a String, Value)>) {
        let mut map = match self.config().remove(field) {
            Some(Value::Object(map)) => map,
            _ => Map::new(),
        };
        map.extend(entries.map(|(name, value)| (name.clone(), value)));
        self.set(field, Value::Object(map));
    }

    fn field(&self, field: &str) -> Option<&Value> {
        self.document.get("config")?.get(field)
    }

    fn text(&self, field: &str) -> String {
        let text = self.field(field).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    }

    fn strings(&self, field: &str) -> Vec<String> {
        let list = self.field(field).and_then(Value::as_array);
        let texts = list.into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    }
}

/// Fields that were not given are left out.
fn healthcheck(check: &Healthcheck) -> Value {
    let mut value = json!({ "Test": check.test });
    for (field, number) in [
        ("Interval", check.interval),
        ("Timeout", check.timeout),
        ("StartPeriod", check.start_period),
        ("StartInterval", check.start_interval),
        ("Retries", check.retries),
    ] {
        if number > 0 {
            value[field] = json!(number);
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(document: ConfigDocument) -> Value {
        serde_json::from_slice(&document.into_bytes("2026-01-01T00:00:00Z")).unwrap()
    }

    fn apply(document: &mut ConfigDocument, action: Action) {
        let step = Step {
            line: 1,
            text: "STEP".to_owned(),
            action,
        };
        document.apply(&step, None, "2026-01-01T00:00:00Z");
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn an_entrypoint_takes_away_the_bases_command_and_not_the_stages_own() {
        let base = br#"{"architecture":"amd64","os":"linux","container":"x","config":{"Cmd":["old"],"Env":["A=1"]}}"#;
        let mut document = ConfigDocument::of_base(base).unwrap();
        apply(&mut document, Action::Entrypoint(words(&["/run"])));
        apply(
            &mut document,
            Action::Env(vec![("A".into(), "2".into()), ("B".into(), "3".into())]),
        );
        let config = made(document);
        assert_eq!(config["config"]["Cmd"], Value::Null);
        let env = json!(["A=2", DEFAULT_PATH, "B=3"]);
        assert_eq!(
            config["config"]["Env"], env,
            "a base without a `PATH` has an engine's"
        );
        assert_eq!(config["container"], Value::Null);

        let own = ConfigDocument::of_base(br#"{"config":{"Env":["PATH=/bin"]}}"#).unwrap();
        assert_eq!(made(own)["config"]["Env"], json!(["PATH=/bin"]));

        let mut document = ConfigDocument::of_base(base).unwrap();
        apply(&mut document, Action::Cmd(words(&["mine"])));
        apply(&mut document, Action::Entrypoint(words(&["/run"])));
        assert_eq!(made(document)["config"]["Cmd"], json!(["mine"]));
    }

    #[test]
    fn only_steps_with_a_layer_have_one_in_the_history() {
        let platform: Platform = "linux/arm/v7".parse().unwrap();
        let mut document = ConfigDocument::scratch(&platform);
        apply(&mut document, Action::User("1000".into()));
        let diff_id = Digest::sha256_of(b"layer");
        let step = Step {
            line: 2,
            text: "WORKDIR /app".to_owned(),
            action: Action::Workdir("/app".into()),
        };
        document.apply(&step, Some(&diff_id), "2026-01-01T00:00:00Z");
        let config = made(document);
        assert_eq!(config["variant"], "v7");
        assert_eq!(config["rootfs"]["diff_ids"], json!([diff_id]));
        assert_eq!(config["history"][0]["empty_layer"], true);
        assert_eq!(config["history"][1]["empty_layer"], Value::Null);
        assert_eq!(config["config"]["WorkingDir"], "/app");
        assert_eq!(config["config"]["User"], "1000");
    }

    #[test]
    fn a_healthcheck_has_what_was_given() {
        let mut document = ConfigDocument::scratch(&"linux/amd64".parse().unwrap());
        let check = Healthcheck {
            test: words(&["CMD", "/check"]),
            interval: 40_000_000_000,
            ..Healthcheck::default()
        };
        apply(&mut document, Action::Healthcheck(check));
        apply(&mut document, Action::Expose(words(&["80/tcp"])));
        let config = made(document);
        assert_eq!(
            config["config"]["Healthcheck"],
            json!({ "Test": ["CMD", "/check"], "Interval": 40_000_000_000_u64 })
        );
        assert_eq!(config["config"]["ExposedPorts"], json!({ "80/tcp": {} }));
    }
}
