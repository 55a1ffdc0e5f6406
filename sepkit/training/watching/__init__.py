"""What a person looks at while a run goes on: its curves as a picture, and what TensorBoard shows."""
