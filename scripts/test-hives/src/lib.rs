//! Nothing: only the test data of the dependencies counts.
