"""What the columns of a manifest say of users, and how users are split into groups."""
