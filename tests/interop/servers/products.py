"""A shop's product table in SQLite behind FastMCP of the SDK 1.x: reads, writes, a schema resource, one prompt."""

import sqlite3
import sys
from contextlib import closing

from mcp.server.fastmcp import FastMCP
from mcp.server.fastmcp.prompts import base
from pydantic import BaseModel, Field
from speak import speak

mcp = FastMCP("products")
PATH = sys.argv[1]


class Product(BaseModel):
    id: int
    name: str
    price: float = Field(description="Price in euro")
    stock: int


def connect() -> sqlite3.Connection:
    connection = sqlite3.connect(PATH)
    connection.row_factory = sqlite3.Row
    return connection


def set_up() -> None:
    with closing(connect()) as db, db:
        db.execute("CREATE TABLE IF NOT EXISTS products (id INTEGER PRIMARY KEY, name TEXT UNIQUE, price REAL, stock INTEGER)")
        db.executemany(
            "INSERT OR IGNORE INTO products (name, price, stock) VALUES (?, ?, ?)",
            [("Lamp", 39.9, 4), ("Chair", 89.0, 12), ("Desk “Öresund”", 249.5, 2)],
        )


def row(found: sqlite3.Row | None, name: str) -> Product:
    if found is None:
        raise ValueError(f"no product named {name}")
    return Product(**dict(found))


@mcp.tool()
def list_products(max_price: float | None = None) -> list[Product]:
    """All products, cheapest first."""
    with closing(connect()) as db:
        rows = db.execute("SELECT * FROM products ORDER BY price").fetchall()
    return [Product(**dict(r)) for r in rows if max_price is None or r["price"] <= max_price]


@mcp.tool()
def get_product(name: str) -> Product:
    """One product by its name."""
    with closing(connect()) as db:
        return row(db.execute("SELECT * FROM products WHERE name = ?", (name,)).fetchone(), name)


@mcp.tool()
def add_product(name: str, price: float, stock: int = 0) -> Product:
    """Adds a product; its name must be new."""
    with closing(connect()) as db, db:
        db.execute("INSERT INTO products (name, price, stock) VALUES (?, ?, ?)", (name, price, stock))
        return row(db.execute("SELECT * FROM products WHERE name = ?", (name,)).fetchone(), name)


@mcp.tool()
def sell(name: str, count: int = 1) -> str:
    """Takes products out of stock."""
    with closing(connect()) as db, db:
        done = db.execute("UPDATE products SET stock = stock - ? WHERE name = ? AND stock >= ?", (count, name, count))
        if done.rowcount == 0:
            raise ValueError(f"not enough of {name} in stock")
    return f"sold {count} of {name}"


@mcp.resource("schema://products", mime_type="text/plain")
def schema() -> str:
    """The table as SQL."""
    with closing(connect()) as db:
        return db.execute("SELECT sql FROM sqlite_master WHERE name = 'products'").fetchone()["sql"]


@mcp.resource("products://{name}/price")
def price(name: str) -> str:
    """The price of one product."""
    return f"{get_product(name).price:.2f}"


@mcp.prompt()
def restock(name: str, tone: str = "friendly") -> list[base.Message]:
    """Asks a supplier for more."""
    return [
        base.UserMessage(f"Write a {tone} order for more of {name}."),
        base.AssistantMessage("How many do you need?"),
    ]


if __name__ == "__main__":
    set_up()
    speak(mcp)
