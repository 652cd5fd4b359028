//! What the bare signature and verification cost: the limit that everything else is measured by.

use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    VerificationAlgorithm,
};

use super::keys::{Key, P256, RSA};

/// The switch with which this program measures instead of driving.
pub(crate) const SWITCH: &str = "--raw";

/// As long as what is signed for a token with a job's claims.
type Message = [u8; 800];

/// So many different messages that the processor cannot learn each by heart, as it cannot with tokens.
const MESSAGES: u16 = 1000;

/// The operations by name, in the order of their costs in a reply.
pub(crate) const OPERATIONS: [&str; 4] =
    ["sign RS256", "sign ES256", "verify RS256", "verify ES256"];

/// A process that measures bare operations on the server's core, whenever it is asked.
pub(crate) struct Probe {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Probe {
    /// Starts this program again, by a command that puts it where the server runs.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .arg(SWITCH)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts again");
        let questions = child.stdin.take().expect("its input");
        let mut answers = BufReader::new(child.stdout.take().expect("its output"));
        // It signs what it will verify, which must not disturb what is measured first.
        answers.read_line(&mut String::new()).expect("it is ready");
        Self {
            child,
            questions,
            answers,
        }
    }

    /// Microseconds of processor time that `operations` take together, now.
    pub(crate) fn cost(&mut self, operations: &[String]) -> f64 {
        operations
            .iter()
            .map(|operation| {
                writeln!(self.questions, "{operation}").expect("the probe listens");
                let mut line = String::new();
                self.answers
                    .read_line(&mut line)
                    .expect("the probe answers");
                line.trim().parse::<f64>().expect("a number")
            })
            .sum()
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the process started by [`Probe::start`] does: a line in, the cost of that operation out.
pub(crate) fn serve() {
    let (Key::Rsa(rsa), Key::P256(p256)) = (&*RSA, &*P256) else {
        panic!("the keys are of these types");
    };
    let verify = |key: &Key, alg: &str, public: &[u8], how: &'static dyn VerificationAlgorithm| {
        let parsed = ParsedPublicKey::new(how, public).expect("a public key");
        let signed = messages().map(|message| (message, key.sign(alg, &message)));
        let mut signed = signed.collect::<Vec<_>>().into_iter().cycle();
        move || {
            let (message, signature) = signed.next().expect("it goes round");
            parsed
                .verify_sig(&message, &signature)
                .expect("a good signature");
        }
    };
    let mut rsa = verify(
        &RSA,
        "RS256",
        rsa.public_key().as_ref(),
        &RSA_PKCS1_2048_8192_SHA256,
    );
    let mut p256 = verify(
        &P256,
        "ES256",
        p256.public_key().as_ref(),
        &ECDSA_P256_SHA256_FIXED,
    );
    println!("ready");
    for line in std::io::stdin().lines() {
        let cost = match line.expect("a line").as_str() {
            "sign RS256" => cost(sign(&RSA, "RS256")),
            "sign ES256" => cost(sign(&P256, "ES256")),
            "verify RS256" => cost(&mut rsa),
            "verify ES256" => cost(&mut p256),
            other => panic!("{other} is not measured"),
        };
        println!("{cost}");
    }
}

fn messages() -> impl Iterator<Item = Message> + Clone {
    (0..MESSAGES).map(|number| {
        let mut message = [b'm'; 800];
        message[..2].copy_from_slice(&number.to_be_bytes());
        message
    })
}

fn sign(key: &'static Key, alg: &'static str) -> impl FnMut() {
    let mut messages = messages().cycle();
    move || {
        let message = messages.next().expect("it goes round");
        drop(black_box(key.sign(alg, &message)));
    }
}

/// Microseconds of processor time per call, so that what else runs on the core counts for little.
fn cost(mut operation: impl FnMut()) -> f64 {
    const LENGTH: Duration = Duration::from_millis(40);
    let (began, used) = (Instant::now(), cpu_us());
    let mut calls = 0.0;
    while began.elapsed() < LENGTH {
        operation();
        calls += 1.0;
    }
    match (used, cpu_us()) {
        (Some(before), Some(after)) => (after - before) / calls,
        _ => began.elapsed().as_secs_f64() * 1e6 / calls,
    }
}

/// The processor time of this thread in microseconds, where the kernel counts it.
fn cpu_us() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds / 1e3)
}
