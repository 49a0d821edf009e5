//! What is wrong with a config: every problem has a place, a path, a message and, where there is one, a fix. Rooms that
//! read a config collect problems and go on, so that a user mends a file in one round.
//!
//! Messages never contain the value of an environment variable or of a secret: both would end up in logs.

use std::cell::RefCell;
use std::fmt;

/// A place in a text. Lines and columns count from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// From 1; 0 when the place is not in a file, such as the command line.
    pub line: usize,
    /// From 1.
    pub column: usize,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub at: Position,
    /// Keys joined by dots, such as `exporters.langfuse/eu.batch.timeout`. Empty for the whole file.
    pub path: String,
    /// What is wrong; lower case, no full stop.
    pub message: String,
    /// What to do about it, when the reader can know.
    pub fix: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.at.line > 0 {
            write!(f, "{}:{}: ", self.at.line, self.at.column)?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.fix {
            Some(fix) => write!(f, "; {fix}"),
            None => Ok(()),
        }
    }
}

/// Collects problems while several readers look at parts of one tree.
#[derive(Debug, Default)]
pub struct Problems {
    list: RefCell<Vec<Problem>>,
}

impl Problems {
    /// Adds a problem that has no obvious fix.
    pub fn add(&self, at: Position, path: &str, message: impl Into<String>) {
        self.push(Problem {
            at,
            path: path.to_owned(),
            message: message.into(),
            fix: None,
        });
    }

    /// Adds a problem with what to do about it.
    pub fn add_with_fix(
        &self,
        at: Position,
        path: &str,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.push(Problem {
            at,
            path: path.to_owned(),
            message: message.into(),
            fix: Some(fix.into()),
        });
    }

    /// Adds a problem.
    pub fn push(&self, problem: Problem) {
        self.list.borrow_mut().push(problem);
    }

    /// All problems in the order of the file.
    #[must_use]
    pub fn into_sorted(self) -> Vec<Problem> {
        let mut list = self.list.into_inner();
        list.sort_by_key(|problem| problem.at);
        list
    }
}
