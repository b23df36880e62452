//! The one error vocabulary: every failure anywhere in Pannier carries one of these codes.

use core::fmt;

/// Declares the codes once, with everything that is said about each of them.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, exit $exit:literal, $title:literal, $long:literal;)*) => {
        /// A stable error code. Its text form (`E_CORRUPT`) is the same in Rust, JSON, JavaScript, C and the docs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The stable text form, for example `E_CORRUPT`.
            pub const fn name(self) -> &'static str {
                match self { $(Code::$variant => $name,)* }
            }

            /// The exit status with which the `packager` command ends on this error.
            pub const fn exit_status(self) -> u8 {
                match self { $(Code::$variant => $exit,)* }
            }

            /// One line: what went wrong.
            pub const fn title(self) -> &'static str {
                match self { $(Code::$variant => $title,)* }
            }

            /// The long form: why it happens and what to do, in Markdown.
            pub const fn explanation(self) -> &'static str {
                match self { $(Code::$variant => $long,)* }
            }

            /// The code with this text form, if there is one.
            pub fn from_name(name: &str) -> Option<Code> {
                Self::ALL.iter().copied().find(|code| code.name() == name)
            }
        }
    };
}

codes! {
    /// Something failed that has no code of its own.
    Failed = "E_FAILED", exit 1, "the operation failed",
        "A step failed for a reason that has no code of its own, for example a disk that is full. The message names the step and the cause.";
    /// The tool was called wrongly.
    Usage = "E_USAGE", exit 2, "wrong usage",
        "An option, a configuration key or a combination of them is not valid. The message names it; `--help` lists what is.";
    /// A file could not be found or read.
    InputMissing = "E_INPUT_MISSING", exit 3, "an input is missing or cannot be read",
        "A file named on the command line or in `packager.toml` does not exist or cannot be read. Check the path and its permissions.";
    /// The bundle bears no signature and the caller did not allow that.
    Unsigned = "E_UNSIGNED", exit 10, "the bundle is not signed",
        "The bundle carries no signature. Sign it with `packager sign BUNDLE --key KEY.pem`, or say `--allow-unsigned` where an unsigned model is acceptable, such as during development.";
    /// No trusted key signed the bundle.
    UntrustedKey = "E_UNTRUSTED_KEY", exit 11, "no trusted key signed the bundle",
        "The bundle is signed, but by none of the keys that were given. Compare `packager inspect BUNDLE` with `packager key show KEY.pub`.";
    /// The signatures do not satisfy the trust policy.
    Policy = "E_POLICY", exit 11, "the trust policy is not satisfied",
        "Signatures by trusted keys are present, but a role lacks some: for example the policy wants two approvers and one signed. The message names the role and the count. `packager approve` adds a signature.";
    /// The policy, or a key in it, is past its expiry, or no clock was given to decide it.
    Expired = "E_EXPIRED", exit 11, "the policy or a key has expired",
        "The trust policy or a key in it has an expiry that has passed, or the caller gave no time to compare it with. Renew the policy, or check the device's clock.";
    /// The bundle's version is lower than the policy allows.
    Downgrade = "E_DOWNGRADE", exit 11, "the bundle is older than the policy allows",
        "The policy names a minimum version for this model and the bundle is older. This stops an attacker from serving an old, validly signed model. Lower `minimum_version` on purpose to roll back.";
    /// A signature or the statement it covers does not match the bundle.
    SignatureMismatch = "E_SIGNATURE_MISMATCH", exit 12, "a signature does not match the bundle",
        "A signature is malformed, or does not verify, or its statement is about other bytes than this bundle's. The file was altered or a signature was copied from another bundle. Fetch it again from its publisher.";
    /// The bytes are not a well-formed bundle, or do not match their digests.
    Corrupt = "E_CORRUPT", exit 13, "the data is corrupt",
        "The bytes break a rule of the format or do not match their recorded digest. The message names the place. Fetch the file again.";
    /// The file ends too early.
    Truncated = "E_TRUNCATED", exit 13, "the data ends too early",
        "The file is shorter than its own header says, as after a broken download. Resume or repeat it.";
    /// The format version, or something critical in it, is not known to this reader.
    UnsupportedVersion = "E_UNSUPPORTED_VERSION", exit 14, "made by a newer version",
        "The bundle uses a format version or a critical section that this reader does not know. Update the runtime.";
    /// A limit of the reader was exceeded.
    Limit = "E_LIMIT", exit 15, "a limit was exceeded",
        "A size, count or depth is over the limit the reader was given, and nothing was allocated for it. If the bundle is to be trusted, raise that limit.";
    /// The model file is not valid ONNX.
    InvalidModel = "E_INVALID_MODEL", exit 13, "the model is not valid",
        "The ONNX file, or the graph in a bundle, cannot be decoded or breaks a rule of the ONNX standard: a cycle, a missing initialiser, shapes that contradict each other. The message names the node.";
    /// No engine can run an operator of the model.
    UnsupportedOperator = "E_UNSUPPORTED_OPERATOR", exit 20, "an operator is not supported",
        "The model uses operators, data types or attributes that no available engine has. All of them are listed with their nodes. See docs/operators.md for what each engine runs.";
    /// The answers are not close enough to the reference answers.
    Accuracy = "E_ACCURACY", exit 21, "the answers are not accurate enough",
        "A measured answer differs from the reference by more than the stated tolerance or loss: at build time an accuracy gate, at load time the golden self-test, which catches a backend that computes wrongly on this machine.";
    /// More memory is needed than the budget allows.
    MemoryBudget = "E_MEMORY_BUDGET", exit 22, "the memory budget is exceeded",
        "The model needs more memory than the envelope in its manifest or the caller's budget allows. It was stopped before the allocation. Use smaller inputs or a larger budget.";
    /// The deadline passed.
    Deadline = "E_DEADLINE", exit 22, "the deadline passed",
        "The run took longer than the envelope in the manifest or the caller's budget allows, and was stopped between two operators.";
    /// An input tensor does not fit the model.
    InvalidInput = "E_INVALID_INPUT", exit 1, "an input does not fit the model",
        "An input is missing, has an unknown name, or its data type or shape is not what the model declares. The message gives expected and found.";
    /// The file cannot be turned into the tensor that the model wants.
    InvalidContent = "E_INVALID_CONTENT", exit 1, "a file cannot be turned into a tensor",
        "A picture, sound or array file could not be decoded, or the manifest does not say how such a file becomes this input. Give a `.npy` or `.npz` file with the tensor itself.";
    /// A key file cannot be used.
    InvalidKey = "E_INVALID_KEY", exit 1, "a key cannot be used",
        "The file is not a P-256 key in PEM form, or the passphrase is wrong. `packager key new` makes a pair; `openssl ecparam -name prime256v1` does too.";
    /// The trust policy cannot be read.
    InvalidPolicy = "E_INVALID_POLICY", exit 2, "the trust policy is not valid",
        "The policy file is not valid TOML or names an unknown role, key or field. The message names the place.";
    /// The operation was interrupted by the user or cancelled by the caller.
    Interrupted = "E_INTERRUPTED", exit 130, "interrupted",
        "The operation was stopped by Ctrl-C or cancelled by its caller. No partial output was left.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
