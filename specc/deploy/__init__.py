"""What happens to an exported file: proof, runtime, serving."""
