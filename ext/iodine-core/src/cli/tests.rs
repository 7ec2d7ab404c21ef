use std::{ffi::OsString, os::unix::ffi::OsStringExt};

use super::*;

fn run(command_line: &str) -> Arguments {
    run_with(command_line, &[])
}

fn run_with(command_line: &str, variables: &[(&str, &str)]) -> Arguments {
    match outcome(command_line, variables) {
        Outcome::Run(arguments) => *arguments,
        other => panic!("{command_line}: {other:?}"),
    }
}

fn invalid(command_line: &str, variables: &[(&str, &str)]) -> String {
    match outcome(command_line, variables) {
        Outcome::Invalid(text) => text,
        other => panic!("{command_line}: {other:?}"),
    }
}

fn outcome(command_line: &str, variables: &[(&str, &str)]) -> Outcome {
    parse(command_line.split_whitespace().map(OsString::from), |name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
    })
}

fn text(value: &str) -> Option<OsString> {
    Some(value.into())
}

#[test]
fn nothing_given_says_nothing() {
    assert_eq!(run(""), Arguments::default());
}

#[test]
fn every_flag_reaches_its_field() {
    let given = "-b localhost -p 80 -t 4 -w 2 -www public -k 5 -v -log-format json -maxbd 1 -maxhd 2 -maxms 3 -ping 6 \
                 -max-pending 12 -deflate -deflate-min 13 -deflate-write-context -deflate-read-context \
                 -deflate-write-bits 10 -deflate-read-bits 11 -tls -cert c.pem -key k.pem -tls-pass secret \
                 -r redis://h -rp 7 -C conf.rb -pid run/ -V 3 -warmup -reload --header-timeout 8 \
                 --body-timeout 9 --write-timeout 10 --shutdown-timeout 11 --tls-timeout 14 -metrics 9394 \
                 -hang-report 15 -hang-replace 16 -max-requests 17 -max-rss 18 -pubsub-socket p.sock \
                 -redis-timeout 19 -redis-max-pending 20 -history-max 21 -boot-timeout 22 app.ru";
    let expected = Arguments {
        filename: text("app.ru"),
        address: text("localhost"),
        port: Some(80),
        threads: Some(4),
        workers: Some(2),
        public: text("public"),
        timeout: Some(5),
        log: true,
        log_format: text("json"),
        max_body: Some(1),
        max_headers: Some(2),
        header_timeout: Some(8),
        body_timeout: Some(9),
        write_timeout: Some(10),
        shutdown_timeout: Some(11),
        max_msg: Some(3),
        ping: Some(6),
        max_pending: Some(12),
        deflate: true,
        deflate_min: Some(13),
        deflate_write_context: true,
        deflate_read_context: true,
        deflate_write_bits: Some(10),
        deflate_read_bits: Some(11),
        tls: true,
        tls_cert: text("c.pem"),
        tls_key: text("k.pem"),
        tls_password: text("secret"),
        tls_timeout: Some(14),
        redis: text("redis://h"),
        redis_ping: Some(7),
        redis_timeout: Some(19),
        redis_pending: Some(20),
        history_max: Some(21),
        pubsub_socket: text("p.sock"),
        config: text("conf.rb"),
        pid: text("run/"),
        verbosity: Some(3),
        warmup: true,
        reload: true,
        metrics: text("9394"),
        boot_timeout: Some(22),
        hang_report: Some(15),
        hang_replace: Some(16),
        max_requests: Some(17),
        max_rss: Some(18),
        warnings: vec![],
    };
    assert_eq!(run(given), expected);
}

#[test]
fn every_name_of_every_flag_is_taken_with_one_dash_and_with_two() {
    for flag in flags::FLAGS {
        for name in flag.names {
            for dashes in ["-", "--"] {
                let value = if flag.takes_value() { "=9" } else { "" };
                let given = format!("{dashes}{name}{value}");
                assert!(!matches!(outcome(&given, &[]), Outcome::Invalid(_)), "{given}");
            }
        }
    }
}

#[test]
fn the_last_of_repeated_flags_counts() {
    assert_eq!(run("-p 1 -port=2 -p3").port, Some(3));
    assert_eq!(run("-b a --bind b").address, text("b"));
    assert!(run("-v -log").log);
}

#[test]
fn an_empty_value_is_no_value() {
    let arguments = run_with("-p= --bind= -t= -C=", &[("PORT", "5"), ("THREADS", ""), ("WORKERS", "")]);
    assert_eq!(arguments, Arguments { port: Some(5), ..Arguments::default() });
    let separate = parse(["-p".into(), "".into(), "-b".into(), "".into()], |_| None);
    assert_eq!(separate, Outcome::Run(Box::default()));
}

#[test]
fn a_certificate_without_a_name_is_refused_rather_than_left_away() {
    for given in ["--tls-cert=", "-cert=", "-tls -tls-key="] {
        let said = invalid(given, &[]);
        assert!(said.contains("it is empty") && said.contains("--tls-"), "{said}");
    }
}

#[test]
fn integers_have_a_range_and_three_notations() {
    for (given, expected) in
        [("-p 0", 0), ("-p 65535", 65_535), ("-p 0x1F90", 8080), ("-p 0b1000", 8), ("-p0X10", 16), ("-p 00080", 80)]
    {
        assert_eq!(run(given).port, Some(expected), "{given}");
    }
    for given in ["-deflate-write-bits 7", "-deflate-write-bits 16", "-deflate-read-bits 7", "-deflate-read-bits 16"] {
        assert!(invalid(given, &[]).contains("-bits"), "{given}: {}", invalid(given, &[]));
    }
    assert_eq!(run("-deflate-write-bits 8 -deflate-read-bits 15").deflate_write_bits, Some(8));
    for (given, expected) in [("-t -1", -1), ("-t-2", -2), ("-t=-0x10", -16), ("-t 4095", 4095)] {
        assert_eq!(run(given).threads, Some(expected), "{given}");
    }
    for given in
        ["-p 65536", "-p=-1", "-p http", "-p 0x", "-p 1.5", "-p 80a", "-p=+1", "-p 99999999999999999999", "-p=--1"]
    {
        assert!(invalid(given, &[]).contains("--port"), "{given}: {}", invalid(given, &[]));
    }
    let error = invalid("-p 65536", &[]);
    assert!(error.starts_with("error: invalid value '65536' for '--port <PORT>': must be an integer from 0 to 65535"));
    assert!(invalid("-t 4096", &[]).contains("from -4095 to 4095"));
    assert!(invalid("-w -512", &[]).contains("from -511 to 511"));
    assert!(invalid("-V 100", &[]).contains("from 0 to 99"));
}

#[test]
fn mistakes_name_the_flag() {
    for (given, words) in [
        ("-prot 3000", "unexpected argument '--prot' found"),
        ("-prot 3000", "'--port'"),
        ("--wokers 3", "'--workers'"),
        ("-vv", "'--vv'"),
        ("-x", "'-x'"),
        ("-log=5", "unexpected value '5' for '--log'"),
        ("-tls=yes", "unexpected value 'yes' for '--tls'"),
        ("-b", "a value is required for '--bind <ADDRESS>'"),
        ("-b -p", "a value is required for '--bind <ADDRESS>'"),
        ("-p -log", "a value is required for '--port <PORT>'"),
        ("-unknown app.ru", "'--unknown'"),
    ] {
        let error = invalid(given, &[]);
        assert!(error.contains(words), "{given}: {error}");
        assert!(error.ends_with("For more information, try '--help'.\n"), "{given}: {error}");
    }
}

#[test]
fn the_first_argument_is_the_application() {
    assert_eq!(run("-p 1 app.ru -v").filename, text("app.ru"));
    assert_eq!(run("-p 1 -- -app.ru").filename, text("-app.ru"));
    let arguments = run("one.ru two.ru");
    assert_eq!(arguments.filename, text("one.ru"));
    assert_eq!(arguments.warnings, ["ignoring the argument \"two.ru\": iodine runs one application"]);
}

#[test]
fn a_unix_socket_has_port_zero() {
    for (given, environment) in [("-b /tmp/x.sock", "80"), ("-b ./x.sock", ""), ("-b /tmp/x.sock -p 0", "80")] {
        let arguments = run_with(given, &[("PORT", environment)]);
        assert_eq!(arguments.port, Some(0), "{given}");
    }
    let arguments = run("-b /tmp/x.sock -p 80");
    assert_eq!(arguments.port, Some(0));
    assert_eq!(arguments.warnings, ["ignoring port 80: /tmp/x.sock is a Unix socket"]);
}

#[test]
fn variables_stand_in_for_flags() {
    let variables = [
        ("PORT", "5000"),
        ("THREADS", "3"),
        ("WORKERS", "4"),
        ("WEB_CONCURRENCY", "5"),
        ("IODINE_REDIS_URL", "redis://h"),
    ];
    let arguments = run_with("", &variables);
    assert_eq!((arguments.port, arguments.threads, arguments.workers), (Some(5000), Some(3), Some(5)));
    assert_eq!(arguments.redis, text("redis://h"));
    let arguments = run_with("-p 1 -t 1 -w 1 -r redis://flag", &variables);
    assert_eq!((arguments.port, arguments.threads, arguments.workers), (Some(1), Some(1), Some(1)));
    assert_eq!(arguments.redis, text("redis://flag"));
    assert_eq!(run_with("", &[("WORKERS", "4")]).workers, Some(4));
    assert_eq!(run_with("", &[("WORKERS", "-1")]).workers, Some(-1));
}

#[test]
fn a_wrong_port_variable_is_an_error_and_a_wrong_count_a_warning() {
    for value in ["http", "70000", "-1"] {
        let error = invalid("", &[("PORT", value)]);
        assert!(error.contains("environment variable PORT: must be an integer from 0 to 65535"), "{error}");
    }
    assert_eq!(run_with("-p 1", &[("PORT", "http")]).port, Some(1));
    let arguments = run_with("", &[("WEB_CONCURRENCY", "auto"), ("WORKERS", "2"), ("THREADS", "9999")]);
    assert_eq!((arguments.workers, arguments.threads), (Some(2), None));
    assert_eq!(
        arguments.warnings,
        [
            "ignoring an invalid value 'auto' for the environment variable WEB_CONCURRENCY: \
             must be an integer from -511 to 511",
            "ignoring an invalid value '9999' for the environment variable THREADS: \
             must be an integer from -4095 to 4095",
        ]
    );
}

#[test]
fn bytes_that_are_not_utf8_are_paths_and_no_numbers() {
    let path = OsString::from_vec(b"/srv/\xff".to_vec());
    let Outcome::Run(arguments) = parse(["-www".into(), path.clone()], |_| None) else { panic!("not run") };
    assert_eq!(arguments.public, Some(path.clone()));
    assert!(matches!(parse(["-p".into(), path.clone()], |_| None), Outcome::Invalid(_)));
    assert!(matches!(parse([], |name| (name == "PORT").then(|| path.clone())), Outcome::Invalid(_)));
}

#[test]
fn help_and_version_are_not_errors() {
    for given in ["-h", "-?", "-help", "--help", "-p 1 -h", "--help -nonsense"] {
        let Outcome::Help(help) = outcome(given, &[]) else { panic!("{given}") };
        assert!(help.starts_with("Iodine's HTTP/WebSocket server, version 0."), "{given}");
    }
    assert_eq!(outcome("--version", &[]), Outcome::Version(format!("iodine {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn help_shows_every_name_and_variable() {
    let Outcome::Help(help) = outcome("-h", &[]) else { panic!("no help") };
    for flag in flags::FLAGS {
        for name in flag.names {
            assert!(help.contains(name), "{name}");
        }
    }
    for variable in ["PORT", "THREADS", "WEB_CONCURRENCY, WORKERS", "IODINE_REDIS_URL"] {
        assert!(help.contains(&format!("[env: {variable}]")), "{variable}");
    }
    assert!(help.lines().all(|line| line.len() <= 100 && !line.ends_with(' ')), "{help}");
    assert!(!help.contains('\u{1b}'), "no colours in plain text");
}

#[test]
fn the_command_is_sound() {
    flags::command().debug_assert();
}
