//! A pipe between two threads, which tells the end of the data from the end of its writer.

use std::{
    io::{self, Read, Write},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
};

/// Bytes of a piece.
const PIECE: usize = 256 << 10;
/// Pieces on their way.
const PIECES: usize = 8;

enum Message {
    Data(Vec<u8>),
    End,
}

/// Both ends.
pub(super) fn pipe() -> (PipeWriter, PipeReader) {
    let (sender, receiver) = sync_channel(PIECES);
    let writer = PipeWriter {
        sender,
        piece: Vec::new(),
    };
    let reader = PipeReader {
        receiver,
        piece: Vec::new(),
        used: 0,
        ended: false,
    };
    (writer, reader)
}

/// Takes bytes in.
pub(super) struct PipeWriter {
    sender: SyncSender<Message>,
    piece: Vec<u8>,
}

impl PipeWriter {
    fn send(&self, message: Message) -> io::Result<()> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.sender.send(message).map_err(gone)
    }

    /// Says that all bytes were written.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.flush()?;
        self.send(Message::End)
    }
}

impl Write for PipeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.capacity() == 0 {
            self.piece.reserve_exact(PIECE);
        }
        let room = PIECE.saturating_sub(self.piece.len());
        let (now, _) = bytes.split_at(room.min(bytes.len()));
        self.piece.extend_from_slice(now);
        if self.piece.len() == PIECE {
            self.flush()?;
        }
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::take(&mut self.piece);
        match piece.is_empty() {
            true => Ok(()),
            false => self.send(Message::Data(piece)),
        }
    }
}

/// Gives them out.
pub(super) struct PipeReader {
    receiver: Receiver<Message>,
    piece: Vec<u8>,
    used: usize,
    ended: bool,
}

impl Read for PipeReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.used == self.piece.len() && !self.ended {
            match self.receiver.recv() {
                Ok(Message::Data(piece)) => (self.piece, self.used) = (piece, 0),
                Ok(Message::End) => self.ended = true,
                Err(_) => return Err(io::Error::other("the disk could not be read to its end")),
            }
        }
        let count = self.piece.get(self.used..).unwrap_or_default().read(out)?;
        self.used += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn all_bytes_arrive_in_order() {
        let bytes: Vec<u8> = (0..3_000_001_u32).map(|at| (at % 251) as u8).collect();
        let (mut writer, mut reader) = pipe();
        let sent = bytes.clone();
        let thread = thread::spawn(move || {
            for piece in sent.chunks(70_001) {
                writer.write_all(piece).unwrap();
            }
            writer.end().unwrap();
        });
        let mut found = Vec::new();
        reader.read_to_end(&mut found).unwrap();
        thread.join().unwrap();
        assert!(found == bytes);
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    }

    #[test]
    fn a_writer_that_goes_away_is_no_end() {
        let (mut writer, mut reader) = pipe();
        writer.write_all(b"half").unwrap();
        writer.flush().unwrap();
        drop(writer);
        let mut found = Vec::new();
        assert!(reader.read_to_end(&mut found).is_err());
        assert_eq!(found, b"half");
    }

    #[test]
    fn a_reader_that_goes_away_stops_the_writer() {
        let (mut writer, reader) = pipe();
        drop(reader);
        let error = writer.write_all(&[0; PIECE]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
