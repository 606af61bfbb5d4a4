//! Lifting lines of older versions to today's, on JSON and before typing.
