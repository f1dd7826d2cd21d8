//! An S3 server in the test process, on a port of its own, with a bucket in a temporary folder, and a layer before it in which things go
//! wrong on purpose.

// Their paths are given because a comparison takes this file from another folder.
#[path = "s3/bucket.rs"]
mod bucket;
#[path = "s3/faults.rs"]
mod faults;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::{Access, AudioCache, Environment, Labels, Place, Settings, Store};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::TcpListener;

use bucket::Buckets;
use faults::Front;
pub(crate) use faults::{Fault, Faults, Seen, State};

/// The bucket that is there.
pub(crate) const BUCKET: &str = "recordings";

const KEY_ID: &str = "test-key";
const SECRET: &str = "test-secret";

/// A running server; it stops when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    front: Arc<Front>,
    folder: PathBuf,
    /// Removed with the server.
    temporary: Option<tempfile::TempDir>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// A server with one empty bucket.
    pub(crate) fn start() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut server = Self::over(temporary.path());
        server.temporary = Some(temporary);
        server
    }

    /// A server of the buckets in a folder, of which one is made if it is not there.
    pub(crate) fn over(folder: &Path) -> Self {
        fs::create_dir_all(folder.join(BUCKET)).unwrap();
        let folder = folder.canonicalize().unwrap();
        let service = {
            let mut builder = S3ServiceBuilder::new(Buckets::new(&folder));
            builder.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
            builder.build()
        };
        let front = Arc::new(Front::new());
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let serving = front.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = serve(listener, service, serving) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        Self { address, front, folder, temporary: None, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it answers.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The variables with which a command finds the bucket and may use it.
    pub(crate) fn env(&self) -> Vec<(String, String)> {
        let variables = [
            ("S3_BUCKET", BUCKET),
            ("AWS_ACCESS_KEY_ID", KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_REGION", "us-east-1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("S3_RETRY_SECONDS", "10"),
            ("S3_ENDPOINT_URL", &self.url()),
        ];
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    /// The folder in which the bucket's objects lie under their keys.
    pub(crate) fn bucket_folder(&self) -> PathBuf {
        self.folder.join(BUCKET)
    }

    /// The store `s3://<bucket>/<prefix>` on it; what is opened is kept in `cache`.
    pub(crate) fn store(&self, prefix: &str, cache: &Path) -> Store {
        let variables = self.env();
        let environment = Environment::of(variables.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let settings = Arc::new(Settings::read(&environment).unwrap());
        let access = Access { settings, cache: Arc::new(AudioCache::new(cache.to_owned(), 1 << 30)) };
        Store::connect(&Place::parse(&format!("s3://{BUCKET}/{prefix}")).unwrap(), &access).unwrap()
    }

    /// Writes an object, past all faults that are not switched on.
    pub(crate) fn put(&self, key: &str, bytes: Vec<u8>) {
        let store = self.store("", &self.folder);
        block_on(store.put(key, bytes, &Labels::default())).unwrap();
    }

    /// Writes all files below a folder as objects below `prefix`.
    pub(crate) fn put_folder(&self, folder: &Path, prefix: &str) {
        let store = self.store(prefix, &self.folder);
        for path in files(folder) {
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
            block_on(store.put(name, fs::read(&path).unwrap(), &Labels::default())).unwrap();
        }
    }

    /// Lets some requests go wrong from now on.
    pub(crate) fn faults(&self, faults: Faults) {
        self.front.set_faults(faults);
    }

    /// Puts the server into a state.
    pub(crate) fn state(&self, state: State) {
        self.front.set_state(state);
    }

    /// Puts the server into a state once it has answered so many more requests.
    pub(crate) fn after(&self, requests: usize, state: State) {
        self.front.turn_after(requests, state);
    }

    /// Lets nobody read these keys; all others may be read again.
    pub(crate) fn forbid(&self, keys: &[&str]) {
        self.front.forbid(keys);
    }

    /// The requests since this was asked last.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.front.take_seen()
    }

    /// How many requests of each method there were since they were asked for last; lists are `LIST`.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for seen in self.seen() {
            *counts.entry(seen.method).or_default() += 1;
        }
        counts
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Answers whoever connects.
async fn serve(listener: TcpListener, service: S3Service, front: Arc<Front>) {
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        if front.is_down() {
            continue;
        }
        let _ = socket.set_nodelay(true);
        let (service, front) = (service.clone(), front.clone());
        tokio::spawn(async move {
            let answer = hyper::service::service_fn(move |request| {
                let (service, front) = (service.clone(), front.clone());
                async move { front.call(&service, request).await }
            });
            // A connection that breaks is what is wanted at times.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), answer).await;
        });
    }
}
