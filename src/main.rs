//! The `secretary` program: arguments, logs, exit codes. What a command does stands in `cli/`.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use secretary::cli;
use tracing_subscriber::EnvFilter;

/// A telephone secretary in one program: it answers SIP calls, understands the caller, answers in a voice of its own and
/// keeps a recording, a transcript and the message.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How the log on stderr looks. RUST_LOG chooses what is in it (for example RUST_LOG=debug).
    #[arg(long, value_enum, default_value_t = LogFormat::Text, global = true)]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer calls until stopped: Ctrl-C ends calls at once, SIGTERM lets them finish for half a minute.
    Serve(cli::serve::Args),
    /// Call a SIP address, play recordings to it and record what it says.
    Call(cli::call::Args),
    /// Write down what is said in a WAV file.
    Transcribe(cli::transcribe::Args),
    /// Say a text into a WAV file.
    Speak(cli::speak::Args),
    /// List and try the voices, and make new ones from recordings.
    Voices(cli::voices::Args),
    /// Talk to the secretary in writing.
    Chat(cli::chat::Args),
    /// Tell of each model, voice, port and account whether it can be used, and what to do if not.
    Check(cli::check::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log(cli.log_format, matches!(cli.command, Command::Serve(_)));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the system gives no threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Serve(args) => cli::serve::run(args).await,
            Command::Call(args) => Box::pin(cli::call::run(args)).await,
            Command::Transcribe(args) => cli::transcribe::run(args).await,
            Command::Speak(args) => cli::speak::run(args).await,
            Command::Voices(args) => cli::voices::run(args).await,
            Command::Chat(args) => cli::chat::run(args).await,
            Command::Check(args) => cli::check::run(args).await,
        }
    });
    // Nobody waits for a resolver that hangs or a model in the middle of a sentence.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            let not_answered = error.downcast_ref::<cli::call::NotAnswered>();
            not_answered.map_or(ExitCode::FAILURE, |error| error.exit_status().into())
        }
    }
}

/// The server says what it does; the other commands say only what goes wrong.
fn start_log(format: LogFormat, server: bool) {
    // Strangers' datagrams are counted, and not told one by one as stun-types does.
    let usual = if server { "info,stun_types=error" } else { "warn,stun_types=error" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).with_target(false).init(),
        LogFormat::Json => log.json().init(),
    }
}
