//! For people: colours on a terminal only, and none with `NO_COLOR`.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Duration;

use contract::instance::{LogRecord, LogStream};
use jiff::ZonedDateTime;

use super::{About, News, Request, Style};

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

pub(super) struct Pretty {
    colours: bool,
    /// Whether output names its function.
    several: bool,
    /// What a stack frame of ours has in it.
    ours: String,
}

impl Pretty {
    pub(super) fn of_this_terminal(workers: &Path) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            colours: !refused && std::io::stdout().is_terminal(),
            several: false,
            ours: format!("({}/", workers.display()),
        }
    }

    fn in_colour(&self, colour: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn text(&self, news: &News<'_>) -> String {
        match news {
            News::Ready { url, directory, functions } => {
                let mut text =
                    format!("{}\n", self.in_colour(BOLD, &format!("zipship dev is ready at {url}/")));
                functions.iter().for_each(|about| text.push_str(&self.about(about)));
                text + &self.in_colour(DIM, &format!("watching {}; Ctrl-C ends\n", directory.display()))
            }
            News::Running(request) => self.request(request, "..."),
            News::Done(request) => self.request(request, &self.status(request)),
            News::Output { record, .. } if self.is_our_frame(record) => String::new(),
            News::Output { function, id, record } => self.output(function, *id, record),
            News::Compiling { function } => format!("{} {function} is compiled\n", now()),
            News::Reloaded { function, files, took } => {
                let what =
                    if files.is_empty() { String::new() } else { format!(" after {}", files.join(", ")) };
                let line = format!("{function} reloaded in {}{what}", ms(*took));
                format!("{} {}\n", now(), self.in_colour(GREEN, &line))
            }
            News::Broken { function, why } => {
                let head = self
                    .in_colour(RED, &format!("{function} can't be loaded, requests get 500 until it can:"));
                format!("{} {head}\n{}", now(), indented(why))
            }
            News::Note(text) => format!("{} {text}\n", now()),
            News::Stopping => format!("{} ends what runs; Ctrl-C again ends it at once\n", now()),
        }
    }

    fn about(&self, about: &About) -> String {
        let because = about.detected.as_ref().map(|file| format!(", because of {file}")).unwrap_or_default();
        let mut text = format!(
            "  {}  {}  {} ({}{because})\n",
            self.in_colour(BOLD, &about.name),
            about.url,
            about.handler,
            about.runtime
        );
        if let (Some(token), Some(claims)) = (&about.token, &about.claims) {
            text += &format!("    private: curl -H 'SCW-Functions-Token: {token}' {}\n", about.url);
            text += &self.in_colour(DIM, &format!("    the token's claims: {claims}\n"));
        }
        text
    }

    /// `12:00:01 GET /path 200 3.1 ms 1a2b3c4d`
    fn request(&self, request: &Request, status: &str) -> String {
        let Request { id, method, path, took, .. } = request;
        let took = if took.is_zero() { String::new() } else { format!(" {}", ms(*took)) };
        format!("{} {method} {path} {status}{took} {}\n", now(), self.in_colour(DIM, short(id)))
    }

    fn status(&self, request: &Request) -> String {
        let colour = match request.status {
            200..=399 => GREEN,
            400..=499 => YELLOW,
            _ => RED,
        };
        let text = match request.status {
            0 => "the caller went away".to_owned(),
            status if request.broken => format!("{status}, and the answer broke off"),
            status => status.to_string(),
        };
        self.in_colour(colour, &text)
    }

    fn is_our_frame(&self, record: &LogRecord) -> bool {
        let line = &record.line;
        record.stream == LogStream::Stderr && line.starts_with("    at ") && line.contains(&self.ours)
    }

    fn output(&self, function: &str, id: Option<&str>, record: &LogRecord) -> String {
        let mark = match record.stream {
            LogStream::Stdout => self.in_colour(DIM, "|"),
            LogStream::Stderr => self.in_colour(YELLOW, "!"),
            LogStream::Platform => self.in_colour(RED, "#"),
        };
        let whose = match id {
            Some(id) => short(id),
            None if self.several => function,
            None => "        ",
        };
        format!("{} {mark} {}\n", self.in_colour(DIM, whose), record.line)
    }
}

impl Style for Pretty {
    fn write(&mut self, news: &News<'_>) {
        if let News::Ready { functions, .. } = news {
            self.several = functions.len() > 1;
        }
        let text = self.text(news);
        // Nobody reads any more: the server goes on.
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

fn now() -> String {
    ZonedDateTime::now().strftime("%H:%M:%S").to_string()
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("         {line}\n")).collect()
}

fn ms(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1000.0;
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 10_000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(status: u16) -> Request {
        Request {
            id: "0123456789".into(),
            method: "GET".into(),
            path: "/a?b=1".into(),
            started: std::time::Instant::now(),
            status,
            broken: false,
            took: Duration::from_millis(12),
            function: String::new(),
            lines: Vec::new(),
            shown: false,
        }
    }

    #[test]
    fn a_request_is_one_line_and_colours_are_for_terminals() {
        let plain = Pretty { colours: false, several: false, ours: "(/w/".into() };
        let line = plain.text(&News::Done(&request(200)));
        assert_eq!(&line[8..], " GET /a?b=1 200 12 ms 01234567\n");
        let coloured = Pretty { colours: true, several: false, ours: "(/w/".into() };
        let line = coloured.text(&News::Done(&request(500)));
        assert!(line.contains("\x1b[31m500\x1b[0m"), "{line:?}");
        let gone = plain.text(&News::Done(&request(0)));
        assert!(gone.contains("the caller went away"), "{gone}");
    }

    #[test]
    fn stack_frames_of_the_worker_are_not_shown() {
        let plain = Pretty { colours: false, several: false, ours: "(/w/".into() };
        let output = |line: &str| {
            let record =
                LogRecord { ts: 0, stream: LogStream::Stderr, request_id: None, part: 0, line: line.into() };
            plain.text(&News::Output { function: "f", id: Some("0123456789"), record: &record })
        };
        assert_eq!(
            output("    at handle (/code/handler.js:1:2)"),
            "01234567 !     at handle (/code/handler.js:1:2)\n"
        );
        assert_eq!(output("    at invoke (/w/node/worker.js:1:2)"), "");
        assert_eq!(output("see (/w/x)"), "01234567 ! see (/w/x)\n");
    }

    #[test]
    fn times_are_short() {
        assert_eq!(ms(Duration::from_micros(1_234)), "1.2 ms");
        assert_eq!(ms(Duration::from_millis(1_234)), "1234 ms");
        assert_eq!(ms(Duration::from_millis(12_340)), "12.3 s");
    }
}
