//! The thread that makes tokens: what several calls say goes forward together, and each gets its latents in pieces.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use ndarray_npy::ReadNpyExt;

use super::gpt::{Gpt, Output};
use super::manifest::{Dimensions, Manifest};
use super::sampling::Sampler;
use crate::engine::Cancel;
use crate::engine::bundle::File;
use crate::engine::cores;

/// Tokens in the first pieces of an utterance, and in each one after them: the first sound soon, then fewer windows of the
/// vocoder.
const PIECES: [usize; 2] = [8, 20];
const LATER_PIECES: usize = 40;
/// More pieces than any utterance has.
const PIECES_WAITING: usize = 256;
/// Utterances that go forward together; the next ones wait.
const MOST_ROWS: usize = 8;
const REQUESTS_WAITING: usize = 64;

/// 1024 samples at 22.05 kHz each.
const TOKENS_PER_S: f32 = 22_050.0 / 1_024.0;
/// Nobody speaks faster or slower than so many characters in a second.
const FASTEST: f32 = 30.0;
const SLOWEST: f32 = 6.0;
/// Beside what the slowest needs, in seconds.
const PAUSES_S: f32 = 1.5;
/// A clause of so few characters is not heard before it is whole: it is there that the model invents.
const SHORT: usize = 24;

/// How many tokens a clause can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    pub least: usize,
    pub most: usize,
    /// Whether nothing of it is sent before it is whole.
    pub is_held: bool,
}

impl Guard {
    /// Of a clause of so many characters, `most` being what the model can do.
    pub fn of(characters: usize, most: usize) -> Self {
        let tokens = |seconds: f32| (seconds * TOKENS_PER_S) as usize;
        let slowest = tokens(characters as f32 / SLOWEST + PAUSES_S);
        Self { least: tokens(characters as f32 / FASTEST), most: slowest.min(most), is_held: characters <= SHORT }
    }
}

/// What the model has learned of texts and tokens, one row of `model_dim` values for each.
pub struct Embeddings {
    text: Vec<f32>,
    text_pos: Vec<f32>,
    mel: Vec<f32>,
    mel_pos: Vec<f32>,
    dim: usize,
}

impl Embeddings {
    /// # Errors
    /// When an array cannot be read or has not the size that the manifest gives it.
    pub fn load(folder: &Path, manifest: &Manifest) -> Result<Self, String> {
        let Dimensions { model_dim: dim, audio_tokens, max_text_tokens, max_audio_tokens, .. } = manifest.dimensions;
        let files = &manifest.files;
        let read = |file: &File, least: usize| {
            let values = read_array(folder, file)?;
            match values.len() >= least * dim && values.len() % dim == 0 {
                true => Ok(values),
                false => {
                    Err(format!("{} has {} values, expected {least} rows of {dim}", file.file.display(), values.len()))
                }
            }
        };
        Ok(Self {
            text: read(&files.text_embedding, 1)?,
            text_pos: read(&files.text_pos_embedding, max_text_tokens)?,
            mel: read(&files.mel_embedding, audio_tokens)?,
            mel_pos: read(&files.mel_pos_embedding, max_audio_tokens + 1)?,
            dim,
        })
    }

    /// What an utterance begins with: the voice, the text between its marks, and the token that begins the sound.
    pub fn prefix(&self, voice: &[f32], text: &[usize], dimensions: &Dimensions) -> Vec<f32> {
        let Dimensions { start_text_token, stop_text_token, start_audio_token, .. } = *dimensions;
        let mut prefix = voice.to_vec();
        let ids = [&start_text_token].into_iter().chain(text).chain([&stop_text_token]);
        for (position, &id) in ids.enumerate() {
            prefix.extend(self.sum((&self.text, id), (&self.text_pos, position)));
        }
        prefix.extend(self.next(start_audio_token, 0));
        prefix
    }

    /// The token at a position of the sound.
    pub fn next(&self, token: usize, position: usize) -> impl Iterator<Item = f32> {
        self.sum((&self.mel, token), (&self.mel_pos, position))
    }

    fn sum<'a>(&self, a: (&'a [f32], usize), b: (&'a [f32], usize)) -> impl Iterator<Item = f32> + use<'a> {
        let dim = self.dim;
        let row = move |(table, n): (&'a [f32], usize)| table.iter().skip(n * dim).take(dim);
        row(a).zip(row(b)).map(|(a, b)| a + b)
    }
}

/// Reads a `.npy` of float32.
pub fn read_array(folder: &Path, file: &File) -> Result<Vec<f32>, String> {
    let failed = |error: String| format!("{}: {error}", file.file.display());
    let reader = std::fs::File::open(folder.join(&file.file)).map_err(|error| failed(error.to_string()))?;
    let reader = std::io::BufReader::new(reader);
    let array = ndarray::ArrayD::<f32>::read_npy(reader).map_err(|error| failed(error.to_string()))?;
    Ok(array.as_standard_layout().iter().copied().collect())
}

/// A clause to make the latents of.
pub struct Request {
    prefix: Vec<f32>,
    /// A fresh one for each attempt.
    sampler: Box<dyn Fn(u64) -> Sampler + Send>,
    guard: Guard,
    cancel: Cancel,
}

impl Request {
    pub fn new(prefix: Vec<f32>, sampler: Box<dyn Fn(u64) -> Sampler + Send>, guard: Guard, cancel: Cancel) -> Self {
        Self { prefix, sampler, guard, cancel }
    }
}

/// Part of an answer.
#[derive(Debug, PartialEq)]
pub enum Piece {
    /// `model_dim` values for each token. Nothing comes after the last.
    Latents {
        latents: Vec<f32>,
        last: bool,
    },
    Failed(String),
}

/// The thread; it ends when this is dropped.
pub struct Decoder {
    requests: Option<SyncSender<(Request, SyncSender<Piece>)>>,
    thread: Option<JoinHandle<()>>,
}

impl Decoder {
    /// # Errors
    /// When there can be no thread.
    pub fn start(
        gpt: Gpt,
        embeddings: Arc<Embeddings>,
        dimensions: Dimensions,
        threads: usize,
    ) -> Result<Self, String> {
        let (requests, waiting) = sync_channel(REQUESTS_WAITING);
        let work = Work { gpt, embeddings, dimensions, threads, rows: Vec::new() };
        let thread = thread::Builder::new().name("xtts".into()).spawn(move || work.run(&waiting));
        Ok(Self { requests: Some(requests), thread: Some(thread.map_err(|error| error.to_string())?) })
    }

    /// Queues a clause. Its pieces come as they are made; who drops the channel wants no more.
    ///
    /// # Errors
    /// When too many wait.
    pub fn ask(&self, request: Request) -> Result<Receiver<Piece>, String> {
        let (reply, pieces) = sync_channel(PIECES_WAITING);
        let requests = self.requests.as_ref().ok_or("the token model has stopped")?;
        requests.try_send((request, reply)).map_err(|error| match error {
            TrySendError::Full(_) => "too many clauses wait for the token model".to_owned(),
            TrySendError::Disconnected(_) => "the token model has stopped".to_owned(),
        })?;
        Ok(pieces)
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

struct Work {
    gpt: Gpt,
    embeddings: Arc<Embeddings>,
    dimensions: Dimensions,
    threads: usize,
    /// In the order of the model's rows.
    rows: Vec<Row>,
}

/// An utterance that goes forward.
struct Row {
    request: Request,
    reply: SyncSender<Piece>,
    sampler: Sampler,
    attempt: u64,
    /// The token before the next, and how many there are.
    token: usize,
    tokens: usize,
    /// Latents that were not sent, and how many pieces were.
    latents: Vec<f32>,
    sent: usize,
}

/// What becomes of a row after a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Goes,
    /// Said, or not wanted any more.
    Ends,
    Again,
}

impl Work {
    fn run(mut self, requests: &Receiver<(Request, SyncSender<Piece>)>) {
        loop {
            while self.rows.len() < MOST_ROWS {
                // Nothing else to do: it waits.
                let next = if self.rows.is_empty() {
                    requests.recv().map_err(|_| TryRecvError::Disconnected)
                } else {
                    requests.try_recv()
                };
                match next {
                    Ok((request, reply)) => self.begin(request, reply, 0),
                    Err(TryRecvError::Empty) => break,
                    // Nobody is left to hear the rest.
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            self.step();
        }
    }

    fn begin(&mut self, request: Request, reply: SyncSender<Piece>, attempt: u64) {
        if request.cancel.is_cancelled() {
            return;
        }
        let first = {
            let _cores = cores::take(self.threads);
            self.gpt.join(&request.prefix)
        };
        match first {
            Ok(output) => {
                let sampler = (request.sampler)(attempt);
                let (token, tokens, latents, sent) = (0, 0, Vec::new(), 0);
                let mut row = Row { request, reply, sampler, attempt, token, tokens, latents, sent };
                let next = row.take(output, &self.dimensions);
                self.rows.push(row);
                if next != Next::Goes {
                    let mut nexts = vec![Next::Goes; self.rows.len() - 1];
                    nexts.push(next);
                    self.end(&nexts);
                }
            }
            Err(error) => {
                drop(reply.try_send(Piece::Failed(error.to_string())));
            }
        }
    }

    /// One token for everyone.
    fn step(&mut self) {
        if self.rows.is_empty() {
            return;
        }
        let embeddings: Vec<f32> =
            self.rows.iter().flat_map(|row| self.embeddings.next(row.token, row.tokens)).collect();
        let outputs = {
            let _cores = cores::take(self.threads);
            self.gpt.step(&embeddings)
        };
        match outputs {
            Ok(outputs) => {
                let rows = self.rows.iter_mut().zip(outputs);
                let nexts: Vec<Next> = rows.map(|(row, output)| row.take(output, &self.dimensions)).collect();
                self.end(&nexts);
            }
            Err(error) => self.fail(&error.to_string()),
        }
    }

    /// Lets go whoever has ended, and begins again with whoever is to.
    fn end(&mut self, nexts: &[Next]) {
        let keep: Vec<bool> = nexts.iter().map(|next| *next == Next::Goes).collect();
        if let Err(error) = self.gpt.retain(&keep) {
            return self.fail(&error.to_string());
        }
        let (mut again, mut rows) = (Vec::new(), Vec::new());
        for (row, next) in self.rows.drain(..).zip(nexts) {
            match next {
                Next::Goes => rows.push(row),
                Next::Again => again.push(row),
                Next::Ends => {}
            }
        }
        self.rows = rows;
        for Row { request, reply, attempt, .. } in again {
            self.begin(request, reply, attempt + 1);
        }
    }

    fn fail(&mut self, reason: &str) {
        tracing::warn!(reason, "the token model failed");
        self.gpt.clear();
        for row in self.rows.drain(..) {
            drop(row.reply.try_send(Piece::Failed(reason.to_owned())));
        }
    }
}

impl Row {
    /// Takes what the model says of the next token.
    fn take(&mut self, Output { mut logits, latent }: Output, dimensions: &Dimensions) -> Next {
        if self.request.cancel.is_cancelled() {
            return Next::Ends;
        }
        let Guard { least, most, is_held } = self.request.guard;
        self.token = self.sampler.next(&mut logits);
        let is_over = self.token == dimensions.stop_audio_token;
        if !is_over {
            self.tokens += 1;
            self.latents.extend(latent);
        }
        let is_cut = !is_over && self.tokens >= most;
        if (is_over && self.tokens < least || is_cut) && self.sent == 0 && self.attempt == 0 {
            return Next::Again;
        }
        if is_cut {
            tracing::debug!(tokens = self.tokens, "the voice went on after its text: it was cut");
        }
        let piece = PIECES.get(self.sent).copied().unwrap_or(LATER_PIECES);
        let last = is_over || is_cut;
        if last || !is_held && self.latents.len() >= piece * dimensions.model_dim {
            self.sent += 1;
            let latents = std::mem::take(&mut self.latents);
            // Nobody is there, or he is so late that nobody can be.
            if self.reply.try_send(Piece::Latents { latents, last }).is_err() {
                return Next::Ends;
            }
        }
        if last { Next::Ends } else { Next::Goes }
    }
}
