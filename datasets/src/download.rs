//! Downloads that resume and are verified: what lies at the destination has the expected hash, or is not there.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::DatasetError;
use crate::files::{folder_of, sync_folder};

/// Bytes so far, and in total where the server says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes on disk, those of an earlier attempt included.
    pub done: u64,
    /// Size of the whole file.
    pub total: Option<u64>,
}

/// Downloads `url` to `destination`, which appears only complete and with the SHA-256 `sha256` (lower-case hexadecimal).
///
/// An attempt that breaks off, or is stopped by `progress`, leaves `<destination>.part`; the next call goes on from there. Returns
/// whether the download was completed (`false`: stopped by `progress`).
pub fn fetch(
    url: &str,
    sha256: &str,
    destination: &Path,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<bool, DatasetError> {
    let part = part_path(destination);
    let folder = folder_of(destination);
    std::fs::create_dir_all(folder).map_err(DatasetError::at("create folder", folder))?;
    if receive(url, &part, progress)?.is_break() {
        return Ok(false);
    }
    let actual = sha256_of(&part)?;
    if actual != sha256 {
        std::fs::remove_file(&part).map_err(DatasetError::at("remove", &part))?;
        let why = format!("the download has SHA-256 {actual}, expected {sha256}; it was discarded");
        return Err(DatasetError::invalid("verify download", url, why));
    }
    std::fs::rename(&part, destination).map_err(DatasetError::at("complete download", destination))?;
    sync_folder(folder).map_err(DatasetError::at("complete download", destination))?;
    Ok(true)
}

/// SHA-256 of a file, in lower-case hexadecimal.
pub fn sha256_of(path: &Path) -> Result<String, DatasetError> {
    let hash = || -> std::io::Result<String> {
        let mut hasher = Sha256::new();
        std::io::copy(&mut File::open(path)?, &mut hasher)?;
        Ok(format!("{:x}", hasher.finalize()))
    };
    hash().map_err(DatasetError::at("hash", path))
}

fn part_path(destination: &Path) -> PathBuf {
    let mut name = destination.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    destination.with_file_name(name)
}

/// Appends to `part` what it lacks of `url`.
fn receive(
    url: &str,
    part: &Path,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, DatasetError> {
    let mut file = OpenOptions::new().create(true).append(true).open(part).map_err(DatasetError::at("open", part))?;
    let mut done = file.metadata().map_err(DatasetError::at("open", part))?.len();
    let config = ureq::Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(20)))
        .timeout_recv_body(Some(Duration::from_mins(30)))
        .timeout_recv_response(Some(Duration::from_mins(1)))
        .http_status_as_error(false);
    let mut request = ureq::Agent::new_with_config(config.build()).get(url);
    if done > 0 {
        request = request.header("Range", format!("bytes={done}-"));
    }
    let mut response = request.call().map_err(|e| DatasetError::new("download", url, e))?;
    match response.status().as_u16() {
        206 => {}
        // The part is already as long as the file: the hash decides whether it is the file.
        416 => return Ok(ControlFlow::Continue(())),
        200 => {
            file.set_len(0).map_err(DatasetError::at("truncate", part))?;
            done = 0;
        }
        status => {
            return Err(DatasetError::invalid("download", url, format!("the server answered with status {status}")));
        }
    }
    let total = response.body().content_length().map(|rest| done + rest);
    let mut body = response.body_mut().as_reader();
    let mut block = vec![0; 1 << 16];
    loop {
        if progress(Progress { done, total }).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let n = body.read(&mut block).map_err(|e| DatasetError::new("download", url, e))?;
        if n == 0 {
            break;
        }
        file.write_all(&block[..n]).map_err(DatasetError::at("write", part))?;
        done += n as u64;
    }
    if total.is_some_and(|total| done < total) {
        return Err(DatasetError::invalid(
            "download",
            url,
            "the connection closed early; run it again to go on from there",
        ));
    }
    file.sync_all().map_err(DatasetError::at("write", part))?;
    Ok(ControlFlow::Continue(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    const CONTENT: &[u8] = &[7; 200_000];

    /// A server on loopback that answers `requests` requests; the first is cut off after `cut` bytes.
    fn serve(requests: usize, cut: usize, ranges: bool) -> (String, std::thread::JoinHandle<Vec<Option<usize>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/yamnet.h5", listener.local_addr().unwrap());
        let handle = std::thread::spawn(move || {
            (0..requests).map(|i| answer(&listener, if i == 0 { cut } else { CONTENT.len() }, ranges)).collect()
        });
        (url, handle)
    }

    fn answer(listener: &TcpListener, cut: usize, ranges: bool) -> Option<usize> {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
        let mut from = None;
        for line in lines.by_ref().take_while(|l| !l.is_empty()) {
            if let Some(range) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
                from = range.trim_end_matches('-').parse().ok();
            }
        }
        let start = if ranges { from.unwrap_or(0) } else { 0 };
        let status = if start > 0 { "206 Partial Content" } else { "200 OK" };
        let body = &CONTENT[start..];
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).unwrap();
        let _ = stream.write_all(&body[..cut.min(body.len())]);
        from
    }

    fn hash(bytes: &[u8]) -> String {
        format!("{:x}", Sha256::digest(bytes))
    }

    #[test]
    fn a_download_that_breaks_off_goes_on_where_it_stopped() {
        for ranges in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let to = dir.path().join("deep/w.h5");
            let (url, server) = serve(2, 100_000, ranges);
            let mut go_on = |_| ControlFlow::Continue(());
            assert!(fetch(&url, &hash(CONTENT), &to, &mut go_on).is_err());
            assert!(!to.exists());
            assert!(fetch(&url, &hash(CONTENT), &to, &mut go_on).unwrap());
            assert_eq!(std::fs::read(&to).unwrap(), CONTENT);
            assert!(!part_path(&to).exists());
            assert!(server.join().unwrap()[1].unwrap() > 0, "the second request asked for the rest");
        }
    }

    #[test]
    fn wrong_content_is_discarded_and_a_stop_keeps_the_part() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("w.h5");
        let (url, _server) = serve(2, CONTENT.len(), true);
        let mut stop = |p: Progress| {
            if p.done > 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        assert!(!fetch(&url, "00", &to, &mut stop).unwrap());
        assert!(part_path(&to).exists());
        let error = fetch(&url, "00", &to, &mut |_| ControlFlow::Continue(())).unwrap_err();
        assert!(error.kind.to_string().contains("expected 00"));
        assert!(!to.exists() && !part_path(&to).exists());
    }

    #[test]
    fn a_server_that_is_gone_is_an_error_that_names_the_address() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/x", listener.local_addr().unwrap());
        drop(listener);
        let dir = tempfile::tempdir().unwrap();
        let error = fetch(&url, "00", &dir.path().join("x"), &mut |_| ControlFlow::Continue(())).unwrap_err();
        assert!(error.to_string().contains(&url));
    }
}
