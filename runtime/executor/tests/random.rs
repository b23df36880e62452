//! Random programs answer as their nodes do one by one, within their budgets.

use pannier_executor::oracle::run_program;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_program_answers_as_its_nodes_do_one_by_one(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        run_program(&bytes);
    }
}
