//! Formats BuildKit's status messages like `docker build --progress=plain`.
//!
//! Steps run in parallel, so every line has its step's number, and a line is written only when it is complete.

use std::collections::{HashMap, HashSet, VecDeque};

use bollard::moby::buildkit::v1::{StatusResponse, Vertex};

use crate::secret::with_public_urls;

/// Lines that the error of a failed build shows.
const TAIL: usize = 20;

/// Bytes of output without a line break that are written as a line, so that memory is bounded.
const MAX_LINE: usize = 16 * 1024;

/// Turns status messages into lines, and keeps the last ones.
pub(super) struct BuildLog<'a> {
    log: &'a (dyn Fn(&str) + Send + Sync),
    tail: VecDeque<String>,
    steps: HashMap<String, Step>,
}

#[derive(Default)]
struct Step {
    number: usize,
    named: bool,
    ended: bool,
    /// Downloads and the like that were reported.
    done: HashSet<String>,
    /// Output since the last line break.
    partial: Vec<u8>,
}

impl<'a> BuildLog<'a> {
    pub(super) fn new(log: &'a (dyn Fn(&str) + Send + Sync)) -> Self {
        BuildLog {
            log,
            tail: VecDeque::new(),
            steps: HashMap::new(),
        }
    }

    /// Writes what `status` adds.
    pub(super) fn observe(&mut self, status: StatusResponse) {
        // A message may end a step and have its last output: names first, output next, ends last.
        for vertex in &status.vertexes {
            self.name(vertex);
        }
        for item in status.statuses {
            if item.completed.is_some() && self.step(&item.vertex).done.insert(item.id.clone()) {
                self.write(&item.vertex, &format!("{} done", item.id));
            }
        }
        for warning in status.warnings {
            let short = String::from_utf8_lossy(&warning.short).into_owned();
            self.write(&warning.vertex, &format!("WARNING: {short}"));
        }
        for output in status.logs {
            self.output(&output.vertex, &output.msg);
        }
        for vertex in &status.vertexes {
            self.end(vertex);
        }
    }

    /// The last lines that were written.
    pub(super) fn into_tail(self) -> Vec<String> {
        self.tail.into()
    }

    fn name(&mut self, vertex: &Vertex) {
        let begun = vertex.cached || vertex.started.is_some();
        let step = self.step(&vertex.digest);
        // A step may continue after its end: `FROM` resolves first and downloads later.
        step.ended &= vertex.completed.is_some();
        if begun && !step.named {
            step.named = true;
            self.write(&vertex.digest, &vertex.name);
        }
    }

    fn end(&mut self, vertex: &Vertex) {
        let is_finished = vertex.completed.is_some() || !vertex.error.is_empty();
        let step = self.step(&vertex.digest);
        if !is_finished || step.ended {
            return;
        }
        step.ended = true;
        let rest = std::mem::take(&mut step.partial);
        if !rest.is_empty() {
            self.write(&vertex.digest, &text(&rest));
        }
        let end = match (&*vertex.error, vertex.cached) {
            ("", true) => "CACHED",
            ("", false) => "DONE",
            (error, _) => &format!("ERROR: {error}"),
        };
        self.write(&vertex.digest, end);
    }

    fn output(&mut self, vertex: &str, bytes: &[u8]) {
        let partial = &mut self.step(vertex).partial;
        partial.extend_from_slice(bytes);
        let whole = match partial.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => at + 1,
            None if partial.len() > MAX_LINE => partial.len(),
            None => return,
        };
        let lines: Vec<u8> = partial.drain(..whole).collect();
        for line in text(&lines).lines() {
            self.write(vertex, line);
        }
    }

    fn write(&mut self, vertex: &str, line: &str) {
        let line = format!(
            "#{} {}",
            self.step(vertex).number,
            with_public_urls(line.trim_end())
        );
        (self.log)(&line);
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }

    fn step(&mut self, vertex: &str) -> &mut Step {
        let number = self.steps.len() + 1;
        self.steps.entry(vertex.to_owned()).or_insert_with(|| Step {
            number,
            ..Step::default()
        })
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use bollard::moby::buildkit::v1::{VertexLog, VertexStatus};

    use super::*;

    fn vertex(digest: &str) -> Vertex {
        Vertex {
            digest: digest.to_owned(),
            name: format!("step {digest}"),
            started: Some(Default::default()),
            ..Vertex::default()
        }
    }

    fn output(vertex: &str, text: &str) -> VertexLog {
        VertexLog {
            vertex: vertex.to_owned(),
            msg: text.into(),
            ..VertexLog::default()
        }
    }

    /// The lines of these messages, and the tail.
    fn written(messages: Vec<StatusResponse>) -> (Vec<String>, Vec<String>) {
        let lines = Mutex::new(Vec::new());
        let log = |line: &str| lines.lock().unwrap().push(line.to_owned());
        let mut build_log = BuildLog::new(&log);
        for status in messages {
            build_log.observe(status);
        }
        let tail = build_log.into_tail();
        (lines.into_inner().unwrap(), tail)
    }

    #[test]
    fn a_step_is_named_once_and_its_lines_are_whole() {
        let (lines, _) = written(vec![
            StatusResponse {
                vertexes: vec![vertex("a"), vertex("b")],
                logs: vec![output("b", "one\ntw")],
                ..Default::default()
            },
            StatusResponse {
                vertexes: vec![Vertex {
                    completed: Some(Default::default()),
                    ..vertex("b")
                }],
                logs: vec![output("b", "o\nrest")],
                ..Default::default()
            },
        ]);
        assert_eq!(
            lines,
            [
                "#1 step a",
                "#2 step b",
                "#2 one",
                "#2 two",
                "#2 rest",
                "#2 DONE"
            ]
        );
    }

    #[test]
    fn an_error_comes_after_the_last_output() {
        let (lines, tail) = written(vec![StatusResponse {
            vertexes: vec![Vertex {
                error: "exit code: 7".to_owned(),
                ..vertex("a")
            }],
            logs: vec![output("a", &"word\n".repeat(30))],
            ..Default::default()
        }]);
        assert_eq!(lines.len(), 32);
        assert_eq!(tail.len(), TAIL);
        assert_eq!(tail.last().unwrap(), "#1 ERROR: exit code: 7");
        assert_eq!(tail[0], "#1 word");
    }

    #[test]
    fn a_step_that_continues_after_its_end_may_still_fail() {
        let ended = |error: &str| StatusResponse {
            vertexes: vec![Vertex {
                completed: Some(Default::default()),
                error: error.to_owned(),
                ..vertex("a")
            }],
            ..Default::default()
        };
        let going_on = StatusResponse {
            vertexes: vec![vertex("a")],
            ..Default::default()
        };
        let (lines, _) = written(vec![ended(""), ended(""), going_on, ended("no such layer")]);
        assert_eq!(lines, ["#1 step a", "#1 DONE", "#1 ERROR: no such layer"]);
    }

    #[test]
    fn a_signed_url_is_not_written_in_full() {
        let (lines, _) = written(vec![StatusResponse {
            logs: vec![output("a", "curl https://a.example/x?sig=s3cret\n")],
            ..Default::default()
        }]);
        assert_eq!(lines, ["#1 curl https://a.example/x"]);
    }

    #[test]
    fn a_finished_download_is_written_once() {
        let done = StatusResponse {
            vertexes: vec![vertex("a")],
            statuses: vec![VertexStatus {
                id: "sha256:ab".to_owned(),
                vertex: "a".to_owned(),
                completed: Some(Default::default()),
                ..Default::default()
            }],
            ..Default::default()
        };
        let (lines, _) = written(vec![done.clone(), done]);
        assert_eq!(lines, ["#1 step a", "#1 sha256:ab done"]);
    }

    #[test]
    fn an_endless_line_does_not_fill_the_memory() {
        let (lines, _) = written(vec![StatusResponse {
            logs: vec![output("a", &"x".repeat(MAX_LINE + 1))],
            ..Default::default()
        }]);
        assert_eq!(lines.len(), 1);
    }
}
